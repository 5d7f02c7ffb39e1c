import Glibc

/// Text of an error number, without the thread-unsafe buffer of `strerror`.
package func errorText(_ code: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
        guard let start = buffer.baseAddress, strerror_r(code, start, buffer.count) == 0 else {
            return "error \(code)"
        }
        return String(cString: start)
    }
}

/// A connected Unix stream socket on which every wait ends at a deadline.
struct UnixStream: ~Copyable {
    private let descriptor: Int32
    let path: String

    /// Connects. `ENOENT` and `ECONNREFUSED` are `noSwitch`.
    init(path: String, until deadline: Deadline) throws(ClientError) {
        let bytes = Array(path.utf8)
        guard bytes.count <= SocketPath.maximumByteCount else { throw .pathTooLong(path: path) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw .socket(path: path, operation: "opening a socket", errno: errno)
        }
        // A full backlog makes connect wait; this is the limit that it heeds.
        var limit = timeval(tv_sec: deadline.seconds, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            switch code {
            case ENOENT, ECONNREFUSED, ENOTDIR, ENOTSOCK: throw .noSwitch(paths: [path])
            case EAGAIN: throw .timedOut(path: path, seconds: deadline.seconds)
            case EACCES, EPERM: throw .permissionDenied(path: path)
            default: throw .socket(path: path, operation: "connecting", errno: code)
            }
        }
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Writes everything; false if the peer stopped reading, whose answer may still be read.
    func write(_ bytes: [UInt8], until deadline: Deadline) throws(ClientError) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(
                    descriptor, $0.baseAddress, $0.count,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count >= 0 {
                sent += count
            } else if errno == EAGAIN {
                try wait(for: Int16(POLLOUT), until: deadline)
            } else if errno == EPIPE || errno == ECONNRESET {
                return false
            } else if errno != EINTR {
                throw .socket(path: path, operation: "sending", errno: errno)
            }
        }
        return true
    }

    /// Reads what is there, waiting for it; empty at the end of the stream.
    func read(until deadline: Deadline) throws(ClientError) -> [UInt8] {
        while true {
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: 64 * 1024) { buffer, filled in
                count = recv(
                    descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
                filled = max(count, 0)
            }
            if count >= 0 { return bytes }
            switch errno {
            case EAGAIN: try wait(for: Int16(POLLIN), until: deadline)
            case EINTR: continue
            case ECONNRESET: return []
            default: throw .socket(path: path, operation: "receiving", errno: errno)
            }
        }
    }

    private func wait(for events: Int16, until deadline: Deadline) throws(ClientError) {
        let remaining = deadline.remainingMilliseconds
        guard remaining > 0 else { throw .timedOut(path: path, seconds: deadline.seconds) }
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        _ = poll(&entry, 1, remaining)
    }
}

/// A point in time by which a whole exchange must be over.
struct Deadline {
    let seconds: Int
    private let instant: ContinuousClock.Instant

    init(seconds: Int) {
        self.seconds = seconds
        instant = ContinuousClock.now.advanced(by: .seconds(seconds))
    }

    /// Rounded up, so that a wait does not end just before the deadline.
    var remainingMilliseconds: Int32 {
        let left = ContinuousClock.now.duration(to: instant).components
        guard left.seconds >= 0, left.attoseconds >= 0 else { return 0 }
        guard left.seconds > 0 || left.attoseconds > 0 else { return 0 }
        return Int32(clamping: left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1)
    }
}
