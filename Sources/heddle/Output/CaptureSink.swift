import ControlAPI
import Glibc

/// Where a capture is written: a file of its own, or standard output.
final class CaptureSink {
    private let path: String
    private let descriptor: Int32

    init(path: String) throws {
        self.path = path == "-" ? "standard output" : path
        if path == "-" {
            descriptor = STDOUT_FILENO
        } else {
            // Captures hold other people's traffic: for the owner's eyes.
            descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                throw CommandFailure("\(path): cannot be written: \(errorText(errno))")
            }
        }
    }

    deinit {
        if descriptor != STDOUT_FILENO { close(descriptor) }
    }

    /// Writes everything; false if the reader of a pipe has gone.
    func write(_ bytes: [UInt8]) throws -> Bool {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count >= 0 {
                written += count
                continue
            }
            switch errno {
            case EINTR: continue
            case EPIPE: return false
            case EAGAIN:
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, 1000)
            case ENOSPC, EDQUOT:
                throw CommandFailure(
                    "\(path): the disk is full: the capture ends here; what was written is valid "
                        + "up to its last whole block")
            case let code:
                throw CommandFailure("\(path): cannot be written: \(errorText(code))")
            }
        }
        return true
    }
}
