import CLinux
import Glibc

/// A thread with work of its own, pinned to a CPU if so wished.
///
/// A network namespace belongs to a thread, so what has to happen in one happens on such a thread;
/// a socket opened there stays in that namespace and may be used from any other.
final class PinnedThread<Value> {
    private let work: Work
    private var thread = pthread_t()

    /// Starts at once. The closure runs beside the caller until ``join()``; what both touch has to be
    /// safe for that.
    init(cpu: Int? = nil, _ body: @escaping () throws -> Value) throws(GeneratorError) {
        let work = Work(cpu: cpu, body)
        self.work = work
        let error = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<AnyWork>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, Unmanaged<AnyWork>.passRetained(work).toOpaque())
        guard error == 0 else {
            Unmanaged<AnyWork>.passUnretained(work).release()
            throw .system(operation: "start a thread", errno: error)
        }
    }

    /// Waits for the end, once.
    func join() throws -> Value {
        pthread_join(thread, nil)
        guard let result = work.result else { preconditionFailure("a thread without a result") }
        return try result.get()
    }

    /// Runs `body` in the network namespace behind `namespace`, and waits for it.
    static func run(in namespace: Int32, _ body: @escaping () throws -> Value) throws -> Value {
        try PinnedThread {
            try check(setns(namespace, CLONE_NEWNET), "enter the network namespace")
            return try body()
        }.join()
    }

    private final class Work: AnyWork {
        let cpu: Int?
        let body: () throws -> Value
        /// Written by the thread, read after it was joined.
        var result: Result<Value, any Error>?

        init(cpu: Int?, _ body: @escaping () throws -> Value) {
            self.cpu = cpu
            self.body = body
        }

        override func run() {
            result = Result {
                if let cpu { try pin(to: cpu) }
                return try body()
            }
        }
    }
}

/// What crosses pthread_create's untyped argument: the same type whatever the thread returns.
private class AnyWork {
    func run() {}
}

private func pin(to cpu: Int) throws(GeneratorError) {
    var set = cpu_set_t()
    let byteCount = MemoryLayout<cpu_set_t>.size
    guard cpu >= 0, cpu < byteCount * 8 else {
        throw .invalid("there is no CPU \(cpu)")
    }
    withUnsafeMutableBytes(of: &set) { $0[cpu / 8] |= 1 << UInt8(cpu % 8) }
    try check(sched_setaffinity(0, byteCount, &set), "run on CPU \(cpu)")
}
