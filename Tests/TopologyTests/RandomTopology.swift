import Wire

@testable import Topology

extension Topology {
    /// A valid topology of few names, so that two of them share many.
    static func random(using generator: inout SeededGenerator) -> Topology {
        var topology = Topology()
        if Bool.random(using: &generator) {
            topology.bridge.ageingSeconds = Int.random(in: 10...600, using: &generator)
            topology.bridge.fdbLimit = Int.random(in: 1...10_000, using: &generator)
            topology.bridge.portFDBLimit = Int.random(in: 1...10_000, using: &generator)
        }
        let names = ["blue", "green", "red", "on", "x.y", "vlan-7"].shuffled(using: &generator)
        for (index, name) in names.prefix(Int.random(in: 1...6, using: &generator)).enumerated() {
            let hasVLAN = index == 0 || Int.random(in: 0..<4, using: &generator) > 0
            topology.networks.append(
                NetworkSpec(
                    name: name, vlan: hasVLAN ? VLANID(index * 7 + 7) : nil,
                    mtu: [1500, 1500, 9000].randomElement(using: &generator) ?? 1500))
        }
        let ports = (0..<12).map { $0 == 3 ? "a-port-with-a-very-long-name-3" : "port-\($0)" }
        for (index, name) in ports.enumerated() where Bool.random(using: &generator) {
            topology.ports.append(
                topology.randomPort(name: name, index: index, using: &generator))
        }
        topology.ports.shuffle(using: &generator)
        return topology
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
        let attachment: Attachment
        if Int.random(in: 0..<6, using: &generator) == 0 {
            attachment = .pcap(PcapSpec(read: "/tmp/\(name) \"in\".pcap"))
        } else {
            let namespaces: [String?] = ["host-\(index)", "shared", "10", nil]
            attachment = .tap(
                TAPSpec(
                    namespace: namespaces[Int.random(in: 0..<4, using: &generator)],
                    device: Bool.random(using: &generator) ? "dev\(index)" : nil,
                    mac: Bool.random(using: &generator)
                        ? MACAddress(rawValue: 0x0200_0000_0100 + UInt64(index)) : nil,
                    addresses: ["10.0.0.\(index + 1)/24", "fd00::\(index + 1)/64"]
                        .filter { _ in Bool.random(using: &generator) }
                        .compactMap { InterfaceAddress($0) }))
        }
        return PortSpec(
            name: name, membership: membership, attachment: attachment,
            isolated: Bool.random(using: &generator),
            fdbLimit: Bool.random(using: &generator) ? index + 1 : nil,
            staticMACs: Bool.random(using: &generator)
                ? [MACAddress(rawValue: 0x0200_0000_0000 + UInt64(index))] : [],
            sticky: Bool.random(using: &generator), up: Bool.random(using: &generator),
            description: Bool.random(using: &generator) ? "port: \"\(index)\" #ä\\" : nil)
    }
}
