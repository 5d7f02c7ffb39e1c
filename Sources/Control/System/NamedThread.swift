import CLinux
import SystemPackage

/// A thread with a name that `ps -T` shows, which can be waited for.
struct NamedThread: Sendable {
    private let thread: pthread_t

    /// Starts `body`.
    ///
    /// - Parameter name: at most 15 bytes, or the kernel cuts it.
    init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let work = Unmanaged.passRetained(Work(name: name, body: body))
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                _ = clinux_set_thread_name(work.name)
                work.body()
                return nil
            }, work.toOpaque())
        guard error == 0 else {
            work.release()
            throw SystemError("start the thread '\(name)'", Errno(rawValue: error))
        }
        self.thread = thread
    }

    /// Waits for its end; once only.
    func join() { pthread_join(thread, nil) }

    /// Carries name and closure through pthread_create's untyped argument.
    private final class Work: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
