// The switch's side of VDE: what `vde_plug` and QEMU's `-netdev vde,sock=FOLDER` connect to.
//
// The plug sends a request and gets the address of a socket in reply, made for it in the folder and
// named as vde_switch names its own: the port's number, which the plug may wish for, and a number that
// tells apart those that wish for the same. Both sockets are connected to each other, so that the
// kernel takes frames from nobody else and does not limit the queues to a few. A plug removes its
// socket's file as soon as it has the reply, so it is connected to before.

import CLinux
import Glibc

final class VDEServer: PlugNegotiation {
    private let folder: String
    private let access: UnixEndpoint.Access
    private let credentials: PeerCredentials?
    private var request: [UInt8] = []
    private var socket: Int32 = -1
    private var file: SocketFile?

    init(folder: String, access: UnixEndpoint.Access, credentials: PeerCredentials?) {
        self.folder = folder
        self.access = access
        self.credentials = credentials
    }

    func begin(on connection: Int32) -> PlugStep { .wait }

    func advance(on connection: Int32) -> PlugStep {
        var room = [UInt8](repeating: 0, count: VDERequest.limit - request.count)
        let count = clinux_read(connection, &room, room.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return .wait }
        guard count > 0 else { return .refused("left without a request") }
        request += room.prefix(count)
        do {
            guard let request = try VDERequest(request) else { return .wait }
            return try answer(request, on: connection)
        } catch let fault as VDERequest.Fault {
            return .refused(fault.clause)
        } catch let refusal as NamedSocket.Refusal {
            return .refused(refusal.clause)
        } catch {
            return .refused("could not be served: \(error)")
        }
    }

    func end() {
        file?.remove()
        file = nil
        if socket >= 0 { close(socket) }
        socket = -1
    }

    private func answer(_ request: VDERequest, on connection: Int32) throws -> PlugStep {
        let wish = request.port == 0 ? 1 : request.port
        let digits = String(wish)
        let padding = String(repeating: "0", count: max(3 - digits.count, 0))
        let path = "\(folder)/\(padding)\(digits).\(connection)"
        socket = try UnixEndpoint.bind(.datagram, path, access: access)
        file = SocketFile(path)
        let peer = try NamedSocket.path(
            of: request.address, byteCount: VDERequest.addressByteCount)
        close(try NamedSocket.connect(socket, to: peer, owner: credentials?.user ?? getuid()))
        var address = try UnixEndpoint.address(path)
        let sent = send(
            connection, &address, VDERequest.addressByteCount, Int32(MSG_NOSIGNAL))
        guard sent == VDERequest.addressByteCount else {
            return .refused("left before it had an answer")
        }
        return .ready(socket)
    }
}
