import CLinux
import Glibc
import TestSupport

/// Runs closures on threads of their own, in a namespace, on a core. Processes started there inherit
/// both, so that nothing runs between `nsenter`, `taskset` and the program.
enum Placement {
    static func run<Value>(
        namespace: Namespace?, core: Int?, _ body: () throws -> Value
    ) throws -> Value {
        guard let namespace else { return try PinnedThread.run(cpu: core, body) }
        let descriptor = open(namespace.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw SystemCallFailure("open \(namespace.path)", errno: errno)
        }
        defer { close(descriptor) }
        return try PinnedThread.run(in: descriptor, cpu: core, body)
    }

    /// Runs the closure once on each core, at the same time, with the core's index in the array.
    static func onEach<Value>(
        of cores: [Int], _ body: @escaping (Int) throws -> Value
    ) throws -> [Value] {
        let threads = cores.enumerated().map { index, core in
            Result { try PinnedThread(cpu: core) { try body(index) } }
        }
        // All are joined before the first error of one is thrown.
        let results = threads.map { thread in Result { try thread.get().join() } }
        return try results.map { try $0.get() }
    }

    /// What lets a program run on other cores than its place has: words to begin its command with.
    static func prefix(_ cores: [Int]?) -> [String] {
        cores.map { ["taskset", "-c", $0.map { "\($0)" }.joined(separator: ",")] } ?? []
    }

    /// The cores that this process may use, in ascending order.
    static let cores: [Int] = {
        var set = cpu_set_t()
        guard sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else { return [0] }
        return withUnsafeBytes(of: &set) { bytes in
            (0..<bytes.count * 8).filter { bytes[$0 / 8] & 1 << ($0 % 8) != 0 }
        }
    }()
}
