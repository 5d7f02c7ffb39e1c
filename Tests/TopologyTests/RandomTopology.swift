import Wire

@testable import Topology

/// The switch's: files that import Testing see another one beside it.
typealias PortAttachment = Attachment

extension Topology {
    /// A valid topology of few names, so that two of them share many.
    static func random(using generator: inout SeededGenerator) -> Topology {
        var topology = Topology()
        if Bool.random(using: &generator) {
            topology.bridge.ageingSeconds = Int.random(in: 10...600, using: &generator)
            topology.bridge.loopHoldSeconds = Int.random(in: 1...60, using: &generator)
            topology.bridge.loopProbeSeconds = Bool.random(using: &generator) ? 5 : nil
            topology.bridge.fdbLimit = Int.random(in: 1...10_000, using: &generator)
            topology.bridge.portFDBLimit = Int.random(in: 1...10_000, using: &generator)
            topology.bridge.sflow = .random(using: &generator)
        }
        let names = ["blue", "green", "red", "on", "x.y", "vlan-7"].shuffled(using: &generator)
        for (index, name) in names.prefix(Int.random(in: 1...6, using: &generator)).enumerated() {
            let hasVLAN = index == 0 || Int.random(in: 0..<4, using: &generator) > 0
            topology.networks.append(
                NetworkSpec(
                    name: name, vlan: hasVLAN ? VLANID(index * 7 + 7) : nil,
                    mtu: [1500, 1500, 9000].randomElement(using: &generator) ?? 1500))
        }
        if Bool.random(using: &generator) { topology.addHosts(using: &generator) }
        let ports = (0..<12).map { $0 == 3 ? "a-port-with-a-very-long-name-3" : "port-\($0)" }
        for (index, name) in ports.enumerated() where Bool.random(using: &generator) {
            topology.ports.append(
                topology.randomPort(name: name, index: index, using: &generator))
        }
        topology.ports.shuffle(using: &generator)
        return topology
    }

    /// Alpha and others, and what travels between them.
    private mutating func addHosts(using generator: inout SeededGenerator) {
        let kinds: [OverlaySpec] = [
            OverlaySpec(), OverlaySpec(port: 8472), OverlaySpec(kind: .geneve),
            OverlaySpec(kind: .geneve, port: 7000),
            // One of the two: they cannot be told apart.
            OverlaySpec(kind: Bool.random(using: &generator) ? .gre : .nvgre),
        ]
        func random() -> OverlaySpec {
            kinds[Int.random(in: 0..<kinds.count, using: &generator)]
        }
        overlay = random()
        tunnelSettings = TunnelSettings(
            probes: Bool.random(using: &generator),
            probeMilliseconds: Bool.random(using: &generator) ? 200 : 50,
            clampsMSS: Bool.random(using: &generator))
        for index in networks.indices where Int.random(in: 0..<4, using: &generator) > 0 {
            networks[index].vni = 10_000 + UInt32(index)
            if Int.random(in: 0..<4, using: &generator) == 0 { networks[index].overlay = random() }
        }
        let own = Bool.random(using: &generator) ? random() : nil
        let isIPv6 = Bool.random(using: &generator)
        let names = ["alpha", "beta", "gamma"].prefix(Int.random(in: 1...3, using: &generator))
        for (index, name) in names.enumerated() {
            guard let underlay = IPAddress(isIPv6 ? "fd00::\(index + 1)" : "192.0.2.\(index + 1)")
            else { continue }
            var host = HostSpec(name: name, underlay: underlay)
            if Bool.random(using: &generator) { host.overlay = own }
            for (index, network) in networks.enumerated() {
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    host.vlans[network.name] = VLANID(1000 + index)
                }
                if network.vni != nil, Int.random(in: 0..<4, using: &generator) == 0 {
                    host.networks.append(network.name)
                }
            }
            hosts.append(host)
        }
        hosts.shuffle(using: &generator)
    }

    private func randomPort(
        name: String, index: Int, using generator: inout SeededGenerator
    ) -> PortSpec {
        let tagged = networks.filter { $0.vlan != nil }.map(\.name)
        let membership: Membership
        if Int.random(in: 0..<4, using: &generator) == 0 {
            let carried = Array(
                tagged.shuffled(using: &generator)
                    .prefix(Int.random(in: 1...tagged.count, using: &generator)))
            membership = .trunk(
                networks: carried, native: Bool.random(using: &generator) ? carried[0] : nil)
        } else {
            membership = .access(
                network: networks[Int.random(in: 0..<networks.count, using: &generator)].name)
        }
        let attachment = randomAttachment(name: name, index: index, using: &generator)
        // A template's addresses would live at many ports.
        let isTemplate = if case .device(.match) = attachment { true } else { false }
        return PortSpec(
            name: name, host: hosts.randomElement(using: &generator)?.name,
            membership: membership, attachment: attachment,
            isolated: Bool.random(using: &generator),
            fdbLimit: Bool.random(using: &generator) ? index + 1 : nil,
            staticMACs: Bool.random(using: &generator) && !isTemplate
                ? [MACAddress(rawValue: 0x0200_0000_0000 + UInt64(index))] : [],
            sticky: Bool.random(using: &generator), up: Bool.random(using: &generator),
            description: Bool.random(using: &generator) ? "port: \"\(index)\" #ä\\" : nil)
    }

    private func randomAttachment(
        name: String, index: Int, using generator: inout SeededGenerator
    ) -> Attachment {
        let path = "/run/lab \"\(index)\"/\(name)"
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: return .pcap(PcapSpec(read: "/tmp/\(name) \"in\".pcap"))
        case 1, 2, 3:
            let tap = randomTAP(index: index, using: &generator)
            return .veth(
                VethSpec(
                    namespace: tap.namespace, device: tap.device, mac: tap.mac,
                    addresses: tap.addresses))
        case 4: return .device(.name("eth\(index)"))
        case 5:
            return .device(
                .match(
                    DeviceMatch(
                        name: Bool.random(using: &generator) ? "*net\(index)?" : nil,
                        group: Bool.random(using: &generator) ? 7 : nil,
                        alias: "#\(Bool.random(using: &generator) ? "web-*" : "ä ?")")))
        case 6:
            let mode = SocketMode.allCases[Int.random(in: 0...1, using: &generator)]
            return .vhostUser(
                VhostUserSpec(
                    socket: path, mode: mode, queues: Bool.random(using: &generator) ? 8 : 1,
                    access: mode == .server ? randomAccess(using: &generator) : SocketAccess()))
        case 7:
            let kind = SocketProtocol.allCases[Int.random(in: 0...3, using: &generator)]
            let mode =
                kind == .qemuDgram || Bool.random(using: &generator)
                ? SocketMode.server : .client
            return .socket(
                SocketSpec(
                    path: path, protocol: kind, mode: mode,
                    peer: kind == .qemuDgram && Bool.random(using: &generator)
                        ? path + ".peer" : nil,
                    access: mode == .server ? randomAccess(using: &generator) : SocketAccess()))
        default: return .tap(randomTAP(index: index, using: &generator))
        }
    }

    private func randomTAP(index: Int, using generator: inout SeededGenerator) -> TAPSpec {
        let namespaces: [String?] = ["host-\(index)", "shared", "10", nil]
        return TAPSpec(
            namespace: namespaces[Int.random(in: 0..<4, using: &generator)],
            device: Bool.random(using: &generator) ? "dev\(index)" : nil,
            mac: Bool.random(using: &generator)
                ? MACAddress(rawValue: 0x0200_0000_0100 + UInt64(index)) : nil,
            addresses: ["10.0.0.\(index + 1)/24", "fd00::\(index + 1)/64"]
                .filter { _ in Bool.random(using: &generator) }
                .compactMap { InterfaceAddress($0) })
    }

    private func randomAccess(using generator: inout SeededGenerator) -> SocketAccess {
        SocketAccess(
            user: Bool.random(using: &generator) ? "libvirt-qemu" : nil,
            group: Bool.random(using: &generator) ? "64055" : nil,
            permissions: Bool.random(using: &generator)
                ? [0o660, 0o7, 0o777].randomElement(using: &generator) : nil)
    }
}

extension SFlowSpec {
    /// Nil as often as not.
    static func random(using generator: inout SeededGenerator) -> SFlowSpec? {
        let texts = ["192.0.2.9:6343", "[2001:db8::9]:6343", "127.0.0.1:1"]
        guard Bool.random(using: &generator),
            let text = texts.randomElement(using: &generator), let collector = UDPEndpoint(text)
        else { return nil }
        var sflow = SFlowSpec(collector: collector)
        if Bool.random(using: &generator) {
            sflow.sampling = Int.random(in: samplingRange, using: &generator)
            sflow.pollingSeconds = Int.random(in: pollingSecondsRange, using: &generator)
            sflow.headerByteCount = Int.random(in: headerRange, using: &generator)
            sflow.agent = IPAddress(Bool.random(using: &generator) ? "192.0.2.1" : "fd00::1")
        }
        return sflow
    }
}
