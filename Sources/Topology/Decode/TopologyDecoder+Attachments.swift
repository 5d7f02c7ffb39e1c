import Wire

/// What ports are attached to.
extension TopologyDecoder {
    /// What the port is attached to; nil when too little of it is right.
    func attachment(_ section: Section) -> Attachment? {
        if let tap = section.section("tap") {
            return .tap(
                TAPSpec(
                    namespace: tap.text("namespace"), device: tap.text("device"),
                    mac: tap.mac("mac"), addresses: interfaceAddresses(of: tap)))
        }
        if let veth = section.section("veth") {
            return .veth(
                VethSpec(
                    namespace: veth.text("namespace"), device: veth.text("device"),
                    mac: veth.mac("mac"), addresses: interfaceAddresses(of: veth)))
        }
        if let device = section.section("device") { return deviceSpec(device).map { .device($0) } }
        if let card = section.section("vhost-user") {
            return card.text("socket").map { path in
                .vhostUser(
                    VhostUserSpec(
                        socket: path, mode: mode(card) ?? .client,
                        queues: card.integer("queues") ?? VhostUserSpec.defaultQueues,
                        access: access(card)))
            }
        }
        if let socket = section.section("socket") {
            return socket.text("path").flatMap { path in
                socket.text("protocol").flatMap(SocketProtocol.init(rawValue:)).map { kind in
                    .socket(
                        SocketSpec(
                            path: path, protocol: kind, mode: mode(socket) ?? .server,
                            peer: socket.text("peer"), access: access(socket)))
                }
            }
        }
        return section.section("pcap").map {
            .pcap(PcapSpec(read: $0.text("read"), write: $0.text("write")))
        }
    }

    private func interfaceAddresses(of device: Section) -> [InterfaceAddress] {
        (device.list("address") ?? []).compactMap { element in
            if case .address(let address) = element.value { address } else { nil }
        }
    }

    private func deviceSpec(_ device: Section) -> DeviceSpec? {
        if let name = device.text("name") { return .name(name) }
        return device.section("match").map { match in
            .match(
                DeviceMatch(
                    name: match.text("name"),
                    group: match.integer("group").flatMap(UInt32.init(exactly:)),
                    alias: match.text("alias")))
        }
    }

    private func mode(_ section: Section) -> SocketMode? {
        section.text("mode").flatMap(SocketMode.init(rawValue:))
    }

    private func access(_ section: Section) -> SocketAccess {
        SocketAccess(
            user: section.text("user"), group: section.text("group"),
            permissions: section.integer("permissions").flatMap(UInt16.init(exactly:)))
    }
}
