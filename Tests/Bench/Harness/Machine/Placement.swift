import CLinux
import Foundation

/// Runs closures on threads of their own, in a namespace, on a core. Processes started there inherit
/// both, so that nothing runs between `nsenter`, `taskset` and the program.
enum Placement {
    static func run<Value>(
        namespace: Namespace?, core: Int?, _ body: () throws -> Value
    ) throws -> Value {
        try run(namespace: namespace, cores: [core]) { _ in try body() }[0]
    }

    /// Runs the closure once on each core, at the same time, with the core's index in the array.
    static func onEach<Value>(of cores: [Int], _ body: (Int) throws -> Value) throws -> [Value] {
        try run(namespace: nil, cores: cores, body)
    }

    /// The cores that this process may use, in ascending order.
    static let cores: [Int] = {
        var set = cpu_set_t()
        guard sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else { return [0] }
        return withUnsafeBytes(of: &set) { bytes in
            (0..<bytes.count * 8).filter { bytes[$0 / 8] & 1 << ($0 % 8) != 0 }
        }
    }()

    /// The closure gets the index of its core.
    private static func run<Value>(
        namespace: Namespace?, cores: [Int?], _ body: (Int) throws -> Value
    ) throws -> [Value] {
        try withoutActuallyEscaping(body) { body in
            let works = cores.enumerated().map { index, core in
                Work {
                    if let namespace { try enter(namespace.path) }
                    if let core { try pin(to: core) }
                    return try body(index)
                }
            }
            var threads: [pthread_t] = []
            defer { for thread in threads { pthread_join(thread, nil) } }
            for work in works {
                var thread = pthread_t()
                let argument = Unmanaged.passUnretained(work as AnyWork).toOpaque()
                let error = pthread_create(
                    &thread, nil,
                    { argument in
                        argument.map { Unmanaged<AnyWork>.fromOpaque($0).takeUnretainedValue() }?
                            .perform()
                        return nil
                    }, argument)
                guard error == 0 else { throw BenchError("start a thread", error) }
                threads.append(thread)
            }
            for thread in threads { pthread_join(thread, nil) }
            threads = []
            return try works.map { try $0.result() }
        }
    }

    /// A generic class cannot be named in the thread's C function; this one can.
    private class AnyWork {
        func perform() {}
    }

    private final class Work<Value>: AnyWork {
        private let body: () throws -> Value
        private var outcome: Result<Value, any Error>?

        init(_ body: @escaping () throws -> Value) { self.body = body }

        override func perform() { outcome = Result { try body() } }

        func result() throws -> Value {
            guard let outcome else { preconditionFailure("the thread left no result") }
            return try outcome.get()
        }
    }

    private static func pin(to core: Int) throws {
        var set = cpu_set_t()
        withUnsafeMutableBytes(of: &set) { $0[core / 8] |= 1 << (core % 8) }
        guard sched_setaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else {
            throw BenchError("pin a thread to core \(core)", errno)
        }
    }

    private static func enter(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BenchError("open \(path)", errno) }
        defer { close(descriptor) }
        guard setns(descriptor, CLONE_NEWNET) == 0 else { throw BenchError("enter \(path)", errno) }
    }
}

/// A system call of the bench's own that failed.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ operation: String, _ error: Int32) {
        description = "cannot \(operation): \(String(cString: strerror(error)))"
    }
}
