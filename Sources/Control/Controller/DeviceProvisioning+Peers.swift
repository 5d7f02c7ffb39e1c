import Dataplane
import Ports
import Topology

/// Ports whose other end is a process.
extension DeviceProvisioning {
    /// The port of a socket's declaration, not yet in service.
    func peer(of spec: PortSpec, _ mtu: Int) throws -> any PeerPort {
        switch spec.attachment {
        case .vhostUser(let socket):
            return try VhostUserPort(
                name: spec.name,
                path: socket.socket, isServer: socket.mode == .server,
                queuePairs: socket.queues,
                access: UnixEndpoint.Access(socket.access), mtu: mtu, loop: loop)
        case .socket(let socket):
            return try UnixSocketPort(
                UnixSocketPort.Kind(socket.protocol), path: socket.path,
                isServer: socket.mode == .server, peer: socket.peer,
                access: UnixEndpoint.Access(socket.access), loop: loop)
        case .tap, .veth, .pcap, .device:
            preconditionFailure("no process is at the other end of this port")
        }
    }
}

extension UnixEndpoint.Access {
    /// With names resolved to numbers.
    init(_ access: SocketAccess) throws(SystemError) {
        self.init(
            user: try access.user.map { name throws(SystemError) in try Account.user(name) },
            group: try access.group.map { name throws(SystemError) in try Account.group(name) },
            permissions: access.permissions)
    }
}

extension UnixSocketPort.Kind {
    init(_ word: SocketProtocol) {
        switch word {
        case .qemuStream: self = .qemuStream
        case .qemuDgram: self = .qemuDatagram
        case .bess: self = .bess
        case .vde: self = .vde
        }
    }
}
