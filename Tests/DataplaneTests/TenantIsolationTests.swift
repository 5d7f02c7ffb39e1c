import Testing

@testable import Dataplane

/// Random switches on a random number of hosts, with random networks, ports and encapsulations.
///
/// Every frame bears the network that it belongs to; whatever comes out of a port is looked at.
@Suite("A tenant's frame never shows up in another network")
struct TenantIsolationTests {
    private struct Membership {
        var host: Int
        var port: UInt16
        /// By domain, the VLAN ID that the port wants there; 0 for untagged.
        var vids: [UInt16: UInt16]
    }

    @Test("whatever the topology, and whatever a peer sends", arguments: 0..<24)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(1000 + seed))
        let hostCount = Int.random(in: 2...4, using: &random)
        let domains = (1...UInt16.random(in: 2...6, using: &random)).map { number in
            DomainConfiguration(
                number: number, vid: number * 10, mtu: 1500,
                vni: Bool.random(using: &random) ? 5000 + UInt32(number) : 0)
        }
        let encapsulation = Encapsulation.allCases[seed % 4]
        let lab = OverlayLab(
            hosts: hostCount, domains: domains, encapsulation: encapsulation,
            maximumPacketByteCount: 1450, segments: encapsulation == .vxlan,
            coalesces: Bool.random(using: &random))
        // Not every host takes part in every network.
        for host in lab.hosts {
            for place in host.configuration.tunnels.indices {
                host.configuration.tunnels[place].domains.removeAll { _ in
                    Int.random(in: 0..<4, using: &random) == 0
                }
            }
        }
        var members: [Membership] = []
        for host in 0..<hostCount {
            for _ in 0..<Int.random(in: 2...5, using: &random) {
                members.append(addPort(to: host, domains, lab, &random))
            }
        }
        var delivered = 0
        for _ in 0..<400 {
            guard let member = members.randomElement(using: &random),
                let (domain, vid) = member.vids.randomElement(using: &random)
            else { continue }
            let bytes = frame(
                to: Bool.random(using: &random)
                    ? broadcast : host(UInt64.random(in: 0..<8, using: &random)),
                from: host(UInt64.random(in: 0..<8, using: &random)),
                tag: vid == 0 ? nil : vid, payload: Int.random(in: 46...1500, using: &random),
                mark: UInt32(domain))
            for delivery in lab.send(bytes, into: member.port, of: member.host) {
                delivered += 1
                check(delivery, of: domain, members)
            }
            if Int.random(in: 0..<8, using: &random) == 0 {
                inject(domains, lab, members, encapsulation, &random)
            }
        }
        #expect(delivered > 0)
        for host in lab.hosts {
            ConservationTests.check(host.fabric, ports: 110)
            ConservationTests.checkDomains(host.fabric, 1...UInt16(domains.count))
        }
    }

    private func addPort(
        to host: Int, _ domains: [DomainConfiguration], _ lab: OverlayLab,
        _ random: inout SeededGenerator
    ) -> Membership {
        let chosen = domains.filter { _ in Bool.random(using: &random) }.map(\.number)
        if chosen.count > 1 {
            let native = Bool.random(using: &random) ? chosen[0] : nil
            let port = lab.add(.trunk(domains: chosen, native: native), to: host)
            return Membership(
                host: host, port: port,
                vids: Dictionary(
                    uniqueKeysWithValues: chosen.map { ($0, $0 == native ? 0 : $0 * 10) }))
        }
        let domain = chosen.first ?? 1
        let port = lab.add(.access(domain: domain), to: host)
        return Membership(host: host, port: port, vids: [domain: 0])
    }

    /// A frame of `domain` came out: was it let out where that domain is, and tagged so?
    private func check(
        _ delivery: OverlayLab.Delivery, of domain: UInt16, _ members: [Membership]
    ) {
        let bytes = delivery.frame
        let isTagged = bytes[12] == 0x81 && bytes[13] == 0
        let vid = isTagged ? UInt16(bytes[14] & 0xF) << 8 | UInt16(bytes[15]) : 0
        let marks = bytes[(isTagged ? 18 : 14)...].prefix(4)
        let mark = marks.reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
        #expect(mark == UInt32(domain))
        let member = members.first {
            $0.host == delivery.host && Int($0.port) == delivery.port
        }
        #expect(member?.vids[domain] == vid)
    }

    /// A peer that sends any VNI: what comes out is of that VNI's network, or nothing does.
    private func inject(
        _ domains: [DomainConfiguration], _ lab: OverlayLab, _ members: [Membership],
        _ encapsulation: Encapsulation, _ random: inout SeededGenerator
    ) {
        let target = Int.random(in: 0..<lab.hosts.count, using: &random)
        let peer = Int.random(in: 0..<lab.hosts.count, using: &random)
        let vni = UInt32.random(in: 4998...5010, using: &random)
        let domain = domains.first { $0.vni == vni }?.number ?? 0
        var datagram = [UInt8](repeating: 0, count: Encapsulation.headerByteCount)
        datagram.withUnsafeMutableBytes {
            encapsulation.write(vni: vni, flow: 0, to: $0.baseAddress.unsafelyUnwrapped)
        }
        datagram += frame(
            to: broadcast, from: host(77),
            tag: Int.random(in: 0..<4, using: &random) == 0 ? 20 : nil,
            mark: UInt32(domain))
        lab.hosts[target].underlay.inject(datagram, from: OverlayLab.address(of: peer))
        let tunnel = lab.hosts[target].configuration.tunnels.first {
            $0.number == OverlayLab.tunnel(to: peer)
        }
        for delivery in lab.deliveries() {
            #expect(tunnel?.domains.contains(domain) == true)
            #expect(delivery.host == target)
            check(delivery, of: domain, members)
        }
    }
}
