// Connects a datagram socket to one that a peer has named.
//
// A peer that names the socket where it wants its frames could name somebody else's, which the switch
// may write to and the peer may not. So the socket's file must belong to the peer's user (root's peers
// may name any); and since a name can be given to another file between the look and the connect, the
// file is opened first (O_PATH), looked at, and connected to by its descriptor.

import CLinux
import Glibc

enum NamedSocket {
    enum Refusal: Error, Equatable {
        /// An address that is no path, or relative to a folder that is not ours.
        case noPath
        case notASocket(String)
        case notTheirs(String)
        case system(String, Int32)

        var clause: String {
            switch self {
            case .noPath: "named no absolute path where it receives"
            case .notASocket(let path): "named '\(path)', which is no socket"
            case .notTheirs(let path): "named '\(path)', which is another user's"
            case .system(let path, let code):
                "named '\(path)', which cannot be reached: \(String(cString: strerror(code)))"
            }
        }
    }

    /// The path in a socket address of `byteCount` bytes that a peer sent or was bound to.
    static func path(of address: sockaddr_un, byteCount: Int) throws(Refusal) -> String {
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        let bytes = withUnsafeBytes(of: address.sun_path) { bytes in
            Array(bytes.prefix(max(min(byteCount - offset, bytes.count), 0)).prefix { $0 != 0 })
        }
        guard address.sun_family == sa_family_t(AF_UNIX), bytes.first == UInt8(ascii: "/"),
            let path = String(validating: bytes, as: UTF8.self)
        else { throw .noPath }
        return path
    }

    /// Connects `socket` to the one at `path` if it is `owner`'s.
    ///
    /// - Returns: an open descriptor for the file, which the caller closes.
    static func connect(
        _ socket: Int32, to path: String, owner: UInt32
    ) throws(Refusal) -> Int32 {
        let file = clinux_open_mode(path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0)
        guard file >= 0 else { throw .system(path, errno) }
        do throws(Refusal) {
            var status = stat()
            guard fstat(file, &status) == 0 else { throw .system(path, errno) }
            guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path) }
            guard owner == 0 || status.st_uid == owner else { throw .notTheirs(path) }
            let code = reconnect(socket, to: file)
            guard code == 0 else { throw .system(path, code) }
        } catch {
            Glibc.close(file)
            throw error
        }
        return file
    }

    /// Connects `socket` to the one that the open file is, again or for the first time; the errno,
    /// ECONNREFUSED if nobody has it any more.
    static func reconnect(_ socket: Int32, to file: Int32) -> Int32 {
        guard var address = try? UnixEndpoint.address("/proc/self/fd/\(file)") else {
            return ENAMETOOLONG
        }
        return connect(socket, &address)
    }

    static func connect(_ socket: Int32, _ address: inout sockaddr_un) -> Int32 {
        let status = UnixEndpoint.withSocketAddress(&address) {
            Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
        return status == 0 ? 0 : errno
    }

    /// Ends a datagram socket's connection: anybody may send to it again.
    static func disconnect(_ socket: Int32) {
        var address = sockaddr()
        address.sa_family = sa_family_t(AF_UNSPEC)
        _ = Glibc.connect(socket, &address, socklen_t(MemoryLayout<sa_family_t>.size))
    }
}
