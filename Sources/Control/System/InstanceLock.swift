import CLinux
import SystemPackage

/// A lock file held by at most one process, for as long as this object lives and no longer: the
/// kernel releases it even after kill -9.
package final class InstanceLock: Sendable {
    package let path: String
    private let descriptor: Int32

    package enum Failure: Error, Equatable, CustomStringConvertible {
        /// Another process holds it; its process ID, when it has been written.
        case held(path: String, by: Int32?, option: String)
        case system(SystemError)

        package var description: String {
            switch self {
            case .held(let path, let process, let option):
                "another heddle"
                    + (process.map { " (process \($0))" } ?? "")
                    + " is running here: it holds '\(path)'; "
                    + "stop it, or choose another \(option)"
            case .system(let error): error.description
            }
        }
    }

    /// Takes the lock, or throws at once when somebody has it.
    ///
    /// - Parameter option: what chooses another place, for the error's remedy.
    package init(path: String, option: String = "--socket") throws(Failure) {
        let descriptor = clinux_open_mode(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            let errno = Errno.current
            throw .system(SystemError("open the lock file '\(path)'", errno))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let errno = Errno.current
            defer { close(descriptor) }
            guard errno == .wouldBlock else {
                throw .system(SystemError("lock '\(path)'", errno))
            }
            let text = (try? FileDescriptor.contents(ofFile: path)) ?? ""
            throw .held(path: path, by: Int32(text.prefix { $0.isNumber }), option: option)
        }
        // Whoever held it may have removed the file meanwhile, as a sandbox does at its end; the lock
        // of a file without a name keeps nobody out.
        var (named, held) = (stat(), stat())
        guard stat(path, &named) == 0, fstat(descriptor, &held) == 0,
            named.st_dev == held.st_dev, named.st_ino == held.st_ino
        else {
            close(descriptor)
            throw .system(
                SystemError(
                    "lock '\(path)'", .resourceBusy,
                    remedy: "another heddle was just ending there: try again"))
        }
        // For the one who is refused later; whether it is written decides nothing.
        let text = Array("\(getpid())\n".utf8)
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, text, text.count, 0) }
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        // Not by closing alone: a child between its fork and its exec holds a copy for a moment.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
