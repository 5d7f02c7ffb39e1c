// The plug's side of VDE: Heddle's port as one of a vde_switch.
//
// It does what `vde_plug` does: it makes a socket in the switch's folder, names it in the request, and
// removes its file when the switch, which is connected to it by then, has answered.

import CLinux
import Glibc

final class VDEClient: PlugNegotiation {
    private static let attemptLimit = 100

    private let folder: String
    private let access: UnixEndpoint.Access
    private let credentials: PeerCredentials?
    private var reply: [UInt8] = []
    private var socket: Int32 = -1
    private var file: SocketFile?

    init(folder: String, access: UnixEndpoint.Access, credentials: PeerCredentials?) {
        self.folder = folder
        self.access = access
        self.credentials = credentials
    }

    func begin(on connection: Int32) -> PlugStep {
        do {
            let path = try bind()
            let request = VDERequest(
                port: 0, address: try UnixEndpoint.address(path),
                description: "heddle pid=\(getpid())")
            let bytes = request.bytes
            let sent = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            return sent == bytes.count ? .wait : .refused("left before it was asked")
        } catch {
            return .refused("cannot be plugged into: \(error)")
        }
    }

    func advance(on connection: Int32) -> PlugStep {
        var room = [UInt8](repeating: 0, count: VDERequest.addressByteCount - reply.count)
        let count = clinux_read(connection, &room, room.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return .wait }
        guard count > 0 else {
            return .refused("gave no port: all are taken, or it could not reach our socket")
        }
        reply += room.prefix(count)
        guard reply.count == VDERequest.addressByteCount else { return .wait }
        let address = reply.withUnsafeBytes { $0.loadUnaligned(as: sockaddr_un.self) }
        do throws(NamedSocket.Refusal) {
            let peer = try NamedSocket.path(of: address, byteCount: reply.count)
            close(
                try NamedSocket.connect(socket, to: peer, owner: credentials?.user ?? getuid()))
        } catch {
            return .refused(error.clause)
        }
        file?.remove()
        file = nil
        return .ready(socket)
    }

    func end() {
        file?.remove()
        file = nil
        if socket >= 0 { close(socket) }
        socket = -1
    }

    /// Makes a socket of a name that is free.
    private func bind() throws -> String {
        for attempt in 0..<Self.attemptLimit {
            let digits = String(attempt)
            let padding = String(repeating: "0", count: max(5 - digits.count, 0))
            let path = "\(folder)/.\(getpid())-\(padding)\(digits)"
            do throws(UnixEndpoint.Failure) {
                socket = try UnixEndpoint.bind(.datagram, path, access: access)
                file = SocketFile(path)
                return path
            } catch .inUse {
                continue
            }
        }
        throw UnixEndpoint.Failure.inUse("\(folder)/.\(getpid())")
    }
}
