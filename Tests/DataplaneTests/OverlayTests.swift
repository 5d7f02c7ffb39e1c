import Testing
import Wire

@testable import Dataplane

@Suite("Networks across hosts")
struct OverlayTests {
    static let blue = DomainConfiguration(number: 1, vid: 10, mtu: 9000, vni: 10_010)
    static let green = DomainConfiguration(number: 2, vid: 20, mtu: 9000, vni: 10_020)
    static let local = DomainConfiguration(number: 3, vid: 30, mtu: 9000)

    @Test(
        "a frame reaches the other host's port, and the answer comes back to one port only",
        arguments: Encapsulation.allCases)
    func reach(encapsulation: Encapsulation) {
        let lab = OverlayLab(
            hosts: 3, domains: [Self.blue, Self.green], encapsulation: encapsulation,
            segments: encapsulation == .vxlan || encapsulation == .geneve)
        for host in 0..<3 {
            lab.add(.access(domain: 1), to: host)
            lab.add(.access(domain: 2), to: host)
        }
        let question = frame(to: broadcast, from: host(1))
        let flooded = lab.send(question, into: 0, of: 0)
        #expect(flooded.map(\.host) == [1, 2], "replicated to both others, and not in a circle")
        #expect(flooded.allSatisfy { $0.port == 0 && $0.frame == question })
        let answer = frame(to: host(1), from: host(2))
        let back = lab.send(answer, into: 0, of: 1)
        #expect(back.count == 1 && back[0].host == 0 && back[0].frame == answer)
        let again = lab.send(frame(to: host(2), from: host(1)), into: 0, of: 0)
        #expect(again.count == 1 && again[0].host == 1, "the far address is known by its tunnel")
        for host in lab.hosts { ConservationTests.check(host.fabric, ports: 110) }
    }

    /// QEMU says it in the guest's name (RARP), and the guest itself by gratuitous ARP.
    @Test("a machine that migrated to another host is found there by all, its old host included")
    func migrated() {
        let lab = OverlayLab(hosts: 3, domains: [Self.blue])
        for host in 0..<3 { lab.add(.access(domain: 1), to: host) }
        lab.add(.access(domain: 1), to: 0)
        _ = lab.send(frame(to: broadcast, from: host(7)), into: 1, of: 0)
        #expect(lab.send(frame(to: host(7), from: host(3)), into: 0, of: 2).map(\.host) == [0])

        var announcement = frame(to: broadcast, from: host(7))
        announcement.replaceSubrange(12..<14, with: [0x80, 0x35])
        _ = lab.send(announcement, into: 0, of: 1)
        for (from, port) in [(0, UInt16(0)), (2, 0)] {
            let found = lab.send(
                frame(to: host(7), from: host(10 + UInt64(from))), into: port, of: from)
            #expect(found.map(\.host) == [1], "from host \(from), by one tunnel and no flood")
        }
    }

    @Test("a network without a VNI stays on its host")
    func local() {
        let lab = OverlayLab(hosts: 2, domains: [Self.blue, Self.local])
        lab.add(.access(domain: 3), to: 0)
        lab.add(.access(domain: 3), to: 1)
        #expect(lab.send(frame(to: broadcast, from: host(1)), into: 0, of: 0).isEmpty)
        #expect(lab.hosts[0].underlay.sent.isEmpty)
    }

    @Test("what is not to be let in is dropped with its reason and counted")
    func refused() throws {
        let lab = OverlayLab(hosts: 2, domains: [Self.blue, Self.green])
        lab.add(.access(domain: 1), to: 0)
        let host0 = lab.hosts[0]
        let peer = OverlayLab.address(of: 1)
        let tunnel = OverlayLab.tunnel(to: 1)
        let inner = frame(to: broadcast, from: host(9))
        func vxlan(_ vni: UInt32, _ inner: [UInt8]) -> [UInt8] {
            [8, 0, 0, 0, UInt8(vni >> 16 & 0xFF), UInt8(vni >> 8 & 0xFF), UInt8(vni & 0xFF), 0]
                + inner
        }
        // 200: the datagram as it is; reason; the port that counts it.
        let cases: [([UInt8], UnderlayAddress, DropReason, UInt16)] = [
            (vxlan(10_010, inner), OverlayLab.address(of: 7), .unknownVTEP, 100),
            (vxlan(10_010, inner), OverlayLab.address(of: 0), .ownPacket, 100),
            (vxlan(4711, inner), peer, .unknownVNI, tunnel),
            (vxlan(0, inner), peer, .unknownVNI, tunnel),
            ([0] + vxlan(10_010, inner).dropFirst(), peer, .malformedTunnel, tunnel),
            ([8, 0, 0], peer, .malformedTunnel, tunnel),
            (vxlan(10_010, Array(inner.prefix(13))), peer, .runt, tunnel),
            (
                vxlan(10_010, frame(to: broadcast, from: host(9), tag: 10)), peer, .tagInTunnel,
                tunnel
            ),
            (vxlan(10_010, frame(to: broadcast, from: broadcast)), peer, .invalidSource, tunnel),
            (
                vxlan(10_010, frame(to: broadcast, from: host(9), payload: 9100)), peer, .oversize,
                tunnel
            ),
        ]
        for (bytes, source, reason, port) in cases {
            let before = host0.value(reason, port)
            host0.underlay.inject(bytes, from: source)
            #expect(lab.deliveries().isEmpty, "\(reason.name)")
            #expect(host0.value(reason, port) == before + 1, "\(reason.name)")
        }
        ConservationTests.check(host0.fabric, ports: 110)
    }

    @Test("a frame of a tunnel never leaves by a tunnel")
    func splitHorizon() {
        let lab = OverlayLab(hosts: 3, domains: [Self.blue])
        for host in 0..<3 { lab.add(.access(domain: 1), to: host) }
        _ = lab.send(frame(to: broadcast, from: host(2)), into: 0, of: 2)
        // Host 1 knows host(2) behind the tunnel to 2; host 0 sends it there all the same.
        lab.hosts[1].underlay.inject(
            [8, 0, 0, 0, 0, 0x27, 0x1A, 0] + frame(to: host(2), from: host(7)),
            from: OverlayLab.address(of: 0))
        #expect(lab.deliveries().isEmpty)
        #expect(lab.hosts[1].value(.splitHorizon, OverlayLab.tunnel(to: 0)) == 1)
    }

    @Test("a tunnel that is down is left out of floods, and says so to unicast")
    func down() {
        let lab = OverlayLab(hosts: 2, domains: [Self.blue])
        lab.add(.access(domain: 1), to: 0)
        lab.add(.access(domain: 1), to: 1)
        _ = lab.send(frame(to: broadcast, from: host(2)), into: 0, of: 1)
        lab.hosts[0].configuration.tunnels[0].isUp = false
        lab.publish(lab.hosts[0])
        let tunnel = OverlayLab.tunnel(to: 1)
        #expect(lab.send(frame(to: broadcast, from: host(1)), into: 0, of: 0).isEmpty)
        #expect(lab.hosts[0].value(.tunnelDown, tunnel) == 0)
        #expect(lab.send(frame(to: host(2), from: host(1)), into: 0, of: 0).isEmpty)
        #expect(lab.hosts[0].value(.tunnelDown, tunnel) == 1)
        // The other direction still works: a broken way there says nothing of the way back.
        #expect(lab.send(frame(to: broadcast, from: host(2)), into: 0, of: 1).count == 1)
        ConservationTests.check(lab.hosts[0].fabric, ports: 110)
    }

    @Test("small frames of one length to one host share a message")
    func shared() {
        let lab = OverlayLab(hosts: 2, domains: [Self.blue])
        lab.add(.access(domain: 1), to: 0)
        lab.add(.access(domain: 1), to: 1)
        _ = lab.send(frame(to: broadcast, from: host(2)), into: 0, of: 1)
        for mark in 0..<40 {
            let bytes = frame(to: host(2), from: host(1), mark: UInt32(mark))
            #expect(lab.hosts[0].ports[0].put(bytes))
        }
        lab.hosts[0].underlay.sent = []
        let arrived = lab.deliveries()
        #expect(lab.hosts[0].underlay.sent.count == 1)
        #expect(
            arrived.map(\.frame)
                == (0..<40).map {
                    frame(to: host(2), from: host(1), mark: UInt32($0))
                })
        #expect(lab.hosts[0].fabric.value(.transmitted, port: OverlayLab.tunnel(to: 1)) == 40)
    }
}
