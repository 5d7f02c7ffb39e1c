import CLinux
import Glibc

/// A thread with work of its own, pinned to a CPU if so wished.
///
/// A network namespace belongs to a thread, so what has to happen in one happens on such a thread;
/// a socket opened there stays in that namespace and may be used from any other, and a process
/// started there inherits namespace and CPU.
package final class PinnedThread<Value> {
    private let work: Work
    private var thread = pthread_t()

    /// Starts at once. The closure runs beside the caller until ``join()``; what both touch has to be
    /// safe for that.
    package init(
        cpu: Int? = nil, _ body: @escaping () throws -> Value
    ) throws(SystemCallFailure) {
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
            throw SystemCallFailure("start a thread", errno: error)
        }
    }

    /// Waits for the end, once.
    package func join() throws -> Value {
        pthread_join(thread, nil)
        guard let result = work.result else { preconditionFailure("a thread without a result") }
        return try result.get()
    }

    /// Runs `body` and waits for it, so that it may borrow what is the caller's; in the network
    /// namespace behind the descriptor, if one is given.
    package static func run(
        in namespace: Int32? = nil, cpu: Int? = nil, _ body: () throws -> Value
    ) throws -> Value {
        try withoutActuallyEscaping(body) { body in
            try PinnedThread(cpu: cpu) {
                if let namespace, setns(namespace, CLONE_NEWNET) != 0 {
                    throw SystemCallFailure("enter the network namespace", errno: errno)
                }
                return try body()
            }.join()
        }
    }

    private final class Work: AnyWork {
        private let cpu: Int?
        /// Given up once it has run: what it borrows may end with the call that waits for it.
        private var body: (() throws -> Value)?
        /// Written by the thread, read after it was joined.
        private(set) var result: Result<Value, any Error>?

        init(cpu: Int?, _ body: @escaping () throws -> Value) {
            self.cpu = cpu
            self.body = body
        }

        override func run() {
            guard let body else { return }
            result = Result {
                if let cpu { try pin(to: cpu) }
                return try body()
            }
            self.body = nil
        }
    }
}

/// What crosses pthread_create's untyped argument: the same type whatever the thread returns.
private class AnyWork {
    func run() {}
}

private func pin(to cpu: Int) throws(SystemCallFailure) {
    var set = cpu_set_t()
    let byteCount = MemoryLayout<cpu_set_t>.size
    guard cpu >= 0, cpu < byteCount * 8 else {
        throw SystemCallFailure("run on CPU \(cpu)", errno: EINVAL)
    }
    withUnsafeMutableBytes(of: &set) { $0[cpu / 8] |= 1 << UInt8(cpu % 8) }
    guard sched_setaffinity(0, byteCount, &set) == 0 else {
        throw SystemCallFailure("run on CPU \(cpu)", errno: errno)
    }
}
