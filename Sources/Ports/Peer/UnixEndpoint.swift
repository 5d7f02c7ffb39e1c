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
    }

    package enum Failure: Error, Equatable, CustomStringConvertible {
        case tooLong(String)
        case inUse(String)
        case notASocket(String)
        case noFolder(String)
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
                "there is no folder for the socket '\(path)': make it first"
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
        do throws(Failure) {
            // Before it has a name: until its owner is settled nobody else is to get in.
            fchmod(descriptor, 0o600)
            let status = withSocketAddress(&address) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
            let code = errno
            guard status == 0 else {
                if code == ENOENT { throw .noFolder(path) }
                throw .system(operation: "bind the socket", path: path, code: code)
            }
            try settle(path, access)
            if kind != .datagram, listen(descriptor, 16) != 0 {
                throw .system(operation: "listen at", path: path, code: errno)
            }
        } catch {
            Glibc.close(descriptor)
            if case .noFolder = error {} else { unlink(path) }
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
        guard result != 0, errno == ECONNREFUSED else { throw .inUse(path) }
        unlink(path)
    }

    private static func settle(_ path: String, _ access: Access) throws(Failure) {
        if access.user != nil || access.group != nil {
            // All ones leaves the one or the other as it is (chown(2)).
            guard chown(path, access.user ?? .max, access.group ?? .max) == 0 else {
                throw .system(operation: "change the owner of", path: path, code: errno)
            }
        }
        let permissions = mode_t(access.permissions ?? (access.group == nil ? 0o600 : 0o660))
        guard chmod(path, permissions) == 0 else {
            throw .system(operation: "change the permissions of", path: path, code: errno)
        }
    }
}
