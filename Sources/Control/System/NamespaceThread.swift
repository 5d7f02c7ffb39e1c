// Work in another network namespace, on a thread of its own.
//
// A namespace is a property of a thread. A thread that has entered one and goes on to serve others
// (a Task's, a dispatch queue's) would open their sockets in the wrong namespace, so a fresh
// pthread enters, does the work and ends, and the caller waits for it. A socket or a TAP device
// that it opened stays in that namespace and may be used from any thread afterwards.
//
// Because the caller waits, the closure may borrow what is the caller's and return what is not
// Sendable, as with a queue's `sync`. It costs some 50 µs; it must not be called from a Task that
// others wait for.

import CLinux
import SystemPackage

package enum NamespaceThread {
    /// Which network namespace the thread works in.
    package enum Entry {
        /// One that is open.
        case existing(FileDescriptor)
        /// A new one, which lives as long as something refers to it.
        case new
    }

    /// Runs `body` on a new thread in the network namespace, and returns or throws what it does;
    /// a `SystemError` when the namespace cannot be entered.
    package static func run<Value>(_ entry: Entry, _ body: () throws -> Value) throws -> Value {
        var result: Result<Value, any Error>?
        try withoutActuallyEscaping(body) { body in
            let work = Work {
                result = Result {
                    try enter(entry)
                    return try body()
                }
            }
            try work.runOnNewThread()
        }
        guard let result else { preconditionFailure("the thread ended without a result") }
        return try result.get()
    }

    private static func enter(_ entry: Entry) throws(SystemError) {
        switch entry {
        case .existing(let descriptor):
            try check(
                setns(descriptor.rawValue, CLONE_NEWNET), "enter the network namespace",
                remedy: "it needs CAP_SYS_ADMIN: run as root, or use --sandbox")
        case .new:
            try check(
                unshare(CLONE_NEWNET), "make a network namespace",
                remedy: "it needs CAP_SYS_ADMIN: run as root, or use --sandbox")
        }
    }

    /// Carries a closure through pthread_create's untyped argument.
    private final class Work {
        let body: () -> Void

        init(_ body: @escaping () -> Void) { self.body = body }

        func runOnNewThread() throws(SystemError) {
            var thread = pthread_t()
            let argument = Unmanaged.passRetained(self)
            let error = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                    return nil
                }, argument.toOpaque())
            guard error == 0 else {
                argument.release()
                throw SystemError("start a thread", Errno(rawValue: error))
            }
            pthread_join(thread, nil)
        }
    }
}
