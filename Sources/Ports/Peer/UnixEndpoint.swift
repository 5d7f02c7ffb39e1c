import CLinux
import Glibc

/// Unix sockets by path, as ports use them: listening where nobody else does, connecting, and
/// leaving no file behind.
///
/// A path that a socket has which nobody listens at is left over from a process that died: it is
/// taken over. One that somebody listens at, or that is no socket, is refused. Every descriptor is
/// non-blocking and closed on exec.
package enum UnixEndpoint {
    package enum Kind: Sendable {
        case stream, datagram, sequencedPacket

        var rawValue: Int32 {
            switch self {
            case .stream: Int32(SOCK_STREAM.rawValue)
            case .datagram: Int32(SOCK_DGRAM.rawValue)
            case .sequencedPacket: Int32(SOCK_SEQPACKET.rawValue)
            }
        }
    }

    /// Who may connect to a socket that Heddle makes: numbers, resolved from names by the control
    /// side. Without any it is the switch's own user; without permissions, a group that is named may
    /// connect as well.
    package struct Access: Sendable, Equatable {
        package var user: UInt32?
        package var group: UInt32?
        package var permissions: UInt16?

        package init(user: UInt32? = nil, group: UInt32? = nil, permissions: UInt16? = nil) {
            self.user = user
            self.group = group
            self.permissions = permissions
        }

        package var effectivePermissions: UInt16 {
            permissions ?? (group == nil ? 0o600 : 0o660)
        }
    }

    package enum Failure: Error, Equatable, CustomStringConvertible {
        case tooLong(String)
        case inUse(String)
        case notASocket(String)
        case noFolder(String)
        case notAFolder(String)
        case system(operation: String, path: String, code: Int32)

        package var description: String {
            switch self {
            case .tooLong(let path):
                "the socket path '\(path)' is too long: the kernel takes 107 bytes"
            case .inUse(let path):
                "somebody listens at '\(path)' already: stop that process ('ss -xlp src \(path)'), "
                    + "or choose another path"
            case .notASocket(let path):
                "'\(path)' exists and is no socket: remove it, or choose another path"
            case .noFolder(let path):
                "there is no folder for '\(path)': make it first"
            case .notAFolder(let path):
                "'\(path)' exists and is no folder: remove it, or choose another path"
            case .system(let operation, let path, let code):
                "cannot \(operation) '\(path)': \(String(cString: strerror(code)))"
            }
        }
    }

    /// Binds a new socket to `path`, with `access`, and listens unless it is one for datagrams.
    package static func bind(
        _ kind: Kind, _ path: String, access: Access
    ) throws(Failure) -> Int32 {
        var address = try self.address(path)
        try removeStale(path, &address)
        let descriptor = try open(kind, path)
        var isMade = false
        do throws(Failure) {
            // Before it has a name: until its owner is settled nobody else is to get in.
            fchmod(descriptor, 0o600)
            let status = withSocketAddress(&address) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
            let code = errno
            guard status == 0 else {
                switch code {
                case ENOENT, ENOTDIR: throw .noFolder(path)
                // Somebody was quicker.
                case EADDRINUSE: throw .inUse(path)
                default: throw .system(operation: "bind a socket to", path: path, code: code)
                }
            }
            isMade = true
            try settle(path, access, mode: mode_t(access.effectivePermissions))
            if kind != .datagram, listen(descriptor, 16) != 0 {
                throw .system(operation: "listen at", path: path, code: errno)
            }
        } catch {
            Glibc.close(descriptor)
            if isMade { unlink(path) }
            throw error
        }
        return descriptor
    }

    /// Connects to `path`; nil while nobody listens there, which is no error: it is tried again.
    package static func connect(_ kind: Kind, _ path: String) throws(Failure) -> Int32? {
        var address = try self.address(path)
        let descriptor = try open(kind, path)
        let status = withSocketAddress(&address) {
            Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
        guard status != 0 else { return descriptor }
        let code = errno
        Glibc.close(descriptor)
        switch code {
        // EAGAIN: its queue of connections is full.
        case ENOENT, ECONNREFUSED, EAGAIN: return nil
        default: throw .system(operation: "connect to", path: path, code: code)
        }
    }

    /// Takes a connection from a listening socket; nil when none waits.
    package static func accept(_ listener: Int32) -> Int32? {
        let descriptor = clinux_accept_nonblocking(listener)
        return descriptor >= 0 ? descriptor : nil
    }

    /// Whether a connection's other end has been closed, or sends nothing more.
    package static func hasHungUp(_ connection: Int32) -> Bool {
        var request = pollfd(fd: connection, events: Int16(POLLRDHUP), revents: 0)
        return poll(&request, 1, 0) == 1 && request.revents != 0
    }

    /// Reads away what a connection's other end says, within limits; true when it has ended.
    package static func skip(_ connection: Int32) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { bytes in
            for _ in 0..<16 {
                let count = clinux_read(connection, bytes.baseAddress, bytes.count)
                if count == 0 { return true }
                if count < 0 { return errno != EAGAIN && errno != EINTR }
            }
            return false
        }
    }

    /// The socket address of a path.
    package static func address(_ path: String) throws(Failure) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw .tooLong(path)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    package static func withSocketAddress<Value>(
        _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>) -> Value
    ) -> Value {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
        }
    }

    private static func open(_ kind: Kind, _ path: String) throws(Failure) -> Int32 {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, kind.rawValue | flags, 0)
        guard descriptor >= 0 else {
            throw .system(operation: "make a socket for", path: path, code: errno)
        }
        return descriptor
    }

    private static func removeStale(
        _ path: String, _ address: inout sockaddr_un
    ) throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path) }
        // Whatever kind of socket it is, ECONNREFUSED says that nobody has it open any more.
        let probe = try open(.stream, path)
        defer { Glibc.close(probe) }
        let result = withSocketAddress(&address) {
            Glibc.connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
        let code = result == 0 ? 0 : errno
        switch code {
        case ECONNREFUSED: unlink(path)
        case ENOENT: return
        case EACCES, EPERM:
            throw .system(operation: "see who listens at", path: path, code: code)
        default: throw .inUse(path)
        }
    }

    /// Gives a file that was made to whom `access` names.
    static func settle(_ path: String, _ access: Access, mode: mode_t) throws(Failure) {
        if access.user != nil || access.group != nil {
            // All ones leaves the one or the other as it is (chown(2)).
            guard chown(path, access.user ?? .max, access.group ?? .max) == 0 else {
                throw .system(operation: "change the owner of", path: path, code: errno)
            }
        }
        guard chmod(path, mode) == 0 else {
            throw .system(operation: "change the permissions of", path: path, code: errno)
        }
    }
}
