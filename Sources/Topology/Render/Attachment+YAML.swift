import Wire

extension Attachment {
    /// Its key and its mapping: `tap: {namespace: web-1}`.
    var yamlEntry: String {
        switch self {
        case .tap(let tap): "tap: \(mapping(entries(of: tap)))"
        case .veth(let veth): "veth: \(mapping(entries(of: veth)))"
        case .device(.name(let name)): "device: \(mapping([text("name", name)]))"
        case .device(.match(let match)):
            "device: {match: "
                + mapping([
                    text("name", match.name), match.group.map { "group: \($0)" },
                    text("alias", match.alias),
                ]) + "}"
        case .vhostUser(let card):
            "vhost-user: "
                + mapping(
                    [
                        text("socket", card.socket),
                        card.mode == .client ? nil : "mode: \(card.mode)",
                        card.queues == VhostUserSpec.defaultQueues
                            ? nil : "queues: \(card.queues)",
                    ] + entries(of: card.access))
        case .socket(let socket):
            "socket: "
                + mapping(
                    [
                        text("path", socket.path), "protocol: \(socket.protocol.rawValue)",
                        socket.mode == .server ? nil : "mode: \(socket.mode)",
                        text("peer", socket.peer),
                    ] + entries(of: socket.access))
        case .pcap(let pcap):
            "pcap: \(mapping([text("read", pcap.read), text("write", pcap.write)]))"
        }
    }
}

private func entries(of device: some MadeDeviceSpec) -> [String?] {
    [
        text("namespace", device.namespace), text("device", device.device),
        text("mac", device.mac?.description),
        device.addresses.isEmpty ? nil : "address: \(yamlList(device.addresses))",
    ]
}

private func entries(of access: SocketAccess) -> [String?] {
    [
        text("user", access.user), text("group", access.group),
        text("permissions", access.permissionDigits),
    ]
}

private func text(_ key: String, _ value: String?) -> String? {
    value.map { "\(key): \(yamlScalar($0))" }
}

private func mapping(_ entries: [String?]) -> String {
    "{\(entries.compactMap(\.self).joined(separator: ", "))}"
}
