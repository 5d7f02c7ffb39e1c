/// A guest's network card: what the guest sees, and where its frames go.
package struct GuestNIC {
    /// The device that the guest has a driver for.
    package enum Model: String {
        case virtio = "virtio-net-pci"
        case e1000
        case rtl8139

        /// The driver's modules, in the order in which they are loaded.
        var modules: [String] {
            switch self {
            case .virtio:
                [
                    "virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev",
                    "virtio_pci", "failover", "net_failover", "virtio_net",
                ]
            case .e1000: ["e1000"]
            case .rtl8139: ["mii", "8139cp"]
            }
        }
    }

    package enum Backend {
        /// A TAP that the emulator opens, and makes if there is none.
        case tap(String)
        /// A stream socket with a length before each frame.
        case stream(String, isServer: Bool)
        /// Datagram sockets, one frame in each: the emulator's own and its peer's.
        case datagrams(String, to: String)
        /// The folder of a VDE switch.
        case vde(String)
        /// Rings in the guest's memory. `queues` are pairs; the guest has a processor for each.
        case vhostUser(String, isServer: Bool, queues: Int = 1)
        /// A TAP that a helper program gets for the emulator, on a network.
        case bridge(String, helper: String)
        /// User-mode Linux only: a SOCK_SEQPACKET connection.
        case bess(String)
    }

    package let model: Model
    package let mac: String
    package let backend: Backend

    package init(_ model: Model = .virtio, mac: String, _ backend: Backend) {
        self.model = model
        self.mac = mac
        self.backend = backend
    }

    var queueCount: Int {
        if case .vhostUser(_, _, let queues) = backend { queues } else { 1 }
    }

    /// The arguments of QEMU.
    func emulatorArguments(memory: Int) -> [String] {
        var device = "\(model.rawValue),netdev=n0,mac=\(mac)"
        let netdev: String
        var arguments: [String] = []
        switch backend {
        case .tap(let name):
            netdev = "tap,id=n0,ifname=\(name),script=no,downscript=no"
        case .stream(let path, let isServer):
            let server = isServer ? "on" : "off"
            netdev = "stream,id=n0,server=\(server),addr.type=unix,addr.path=\(path)"
        case .datagrams(let own, let peer):
            netdev =
                "dgram,id=n0,local.type=unix,local.path=\(own),remote.type=unix,remote.path=\(peer)"
        case .vde(let folder):
            netdev = "vde,id=n0,sock=\(folder)"
        case .vhostUser(let path, let isServer, let queues):
            // The rings' owner is another process: it has to see the guest's memory.
            arguments = [
                "-object", "memory-backend-memfd,id=mem0,size=\(memory)M,share=on",
                "-numa", "node,memdev=mem0",
                "-chardev",
                "socket,id=vu0,path=\(path)"
                    + (isServer ? ",server=on,wait=off" : ",reconnect=1"),
            ]
            netdev = "vhost-user,id=n0,chardev=vu0,queues=\(queues)"
            // No MSI-X: with it QEMU 7.2 crashes here when it emulates the processor.
            device += ",vectors=0" + (queues > 1 ? ",mq=on" : "")
        case .bridge(let network, let helper):
            netdev = "bridge,id=n0,br=\(network),helper=\(helper)"
        case .bess(let path):
            preconditionFailure("bess on \(path) is user-mode Linux's")
        }
        return arguments + ["-netdev", netdev, "-device", device]
    }

    /// The argument of user-mode Linux.
    var userModeArgument: String {
        switch backend {
        case .tap(let name): "vec0:transport=tap,ifname=\(name),mac=\(mac),depth=64,gro=1"
        case .bess(let path): "vec0:transport=bess,dst=\(path),mac=\(mac),depth=64"
        default: preconditionFailure("user-mode Linux has no such transport: \(backend)")
        }
    }
}
