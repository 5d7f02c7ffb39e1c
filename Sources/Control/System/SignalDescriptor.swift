import CLinux
import Glibc
import SystemPackage

/// Signals as something to poll: they are blocked, and read from a descriptor.
///
/// Make it before any thread starts, so that all of them inherit the blocked mask; a thread that
/// does not block a signal would be ended by it. Children get the mask too, unless it is reset
/// (`ChildProcess` does).
package final class SignalDescriptor: Sendable {
    /// Readable when a signal has arrived. Owned by this object.
    package let descriptor: FileDescriptor

    /// The signals that ask a daemon to end, or to look at its configuration again.
    package init(_ signals: [Int32] = [SIGINT, SIGTERM, SIGHUP]) throws(SystemError) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        let error = pthread_sigmask(SIG_BLOCK, &set, nil)
        guard error == 0 else { throw SystemError("block signals", Errno(rawValue: error)) }
        let descriptor = signalfd(
            -1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
        try check(descriptor, "make a signal descriptor")
        self.descriptor = FileDescriptor(rawValue: descriptor)
    }

    deinit {
        try? descriptor.close()
    }

    /// The next signal that has arrived, or nil. Never blocks.
    package func next() -> Int32? {
        var information = signalfd_siginfo()
        let byteCount = read(
            descriptor.rawValue, &information, MemoryLayout<signalfd_siginfo>.size)
        guard byteCount == MemoryLayout<signalfd_siginfo>.size else { return nil }
        return Int32(information.ssi_signo)
    }

    /// The next signal; blocks until there is one.
    package func wait() -> Int32 {
        while true {
            if let signal = next() { return signal }
            var polled = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            poll(&polled, 1, -1)
        }
    }

    /// Makes writing to a closed pipe or socket an error (EPIPE) instead of a silent death.
    package static func ignoreBrokenPipes() {
        signal(SIGPIPE, SIG_IGN)
    }
}
