import Topology

extension PortSpec {
    /// What no two ports can have at the same time: devices by namespace and name, sockets by path.
    var exclusiveResources: Set<String> {
        var resources: Set<String> = []
        if let deviceName { resources.insert("device \(namespace ?? "")/\(deviceName)") }
        if let switchEndName { resources.insert("device /\(switchEndName)") }
        switch attachment {
        case .device(.name(let name)): resources.insert("device /\(name)")
        case .vhostUser(let socket): resources.insert("socket \(socket.socket)")
        case .socket(let socket): resources.insert("socket \(socket.socketPath)")
        case .tap, .veth, .pcap, .device(.match): break
        }
        return resources
    }
}
