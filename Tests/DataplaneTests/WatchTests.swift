import Testing
import Wire

@testable import Dataplane

@Suite("What the control side watches")
struct WatchTests {
    /// Two access ports of one domain and a trunk.
    private func makeLab() -> TestSwitch {
        let lab = TestSwitch(domains: [
            DomainConfiguration(number: 1, vid: 10), DomainConfiguration(number: 2, vid: 20),
        ])
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        lab.add(.trunk(domains: [1, 2], native: nil))
        return lab
    }

    private func notices(_ lab: TestSwitch) -> [AddressNotice] {
        var result: [AddressNotice] = []
        while let notice = lab.fabric.links[0].notices.pop() { result.append(notice) }
        return result
    }

    @Test("an address that is learned or moves is told once, and one that is refreshed is not")
    func addressNotices() {
        let lab = makeLab()
        _ = lab.send(frame(to: broadcast, from: host(1)), into: 0)
        lab.advance(seconds: 1)
        _ = lab.send(frame(to: broadcast, from: host(1)), into: 0)
        lab.advance(seconds: 1)
        _ = lab.send(frame(to: broadcast, from: host(1)), into: 1)
        let told = notices(lab)
        #expect(told.map(\.kind) == [.learned, .moved])
        #expect(told.map(\.port) == [0, 1])
        #expect(told.last?.previousPort == 0)
        #expect(told.allSatisfy { $0.key == FDBKey(domain: 1, address: host(1)).word })
        #expect(told.last?.time == lab.time)
        #expect(lab.fabric.links[0].lostNotices.load(ordering: .relaxed) == 0)
    }

    @Test("notices that nobody reads are lost and counted, and cost no frame")
    func lostNotices() {
        let lab = TestSwitch(domains: [DomainConfiguration(number: 1, vid: 10)], fdbCapacity: 16384)
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        for number in 0..<5_000 {
            #expect(lab.send(frame(to: broadcast, from: host(UInt64(number))), into: 0) == [1])
        }
        let lost = lab.fabric.links[0].lostNotices.load(ordering: .relaxed)
        #expect(notices(lab).count + Int(lost) == 5_000)
        #expect(lost > 0)
    }

    /// An ARP request of host 1 for 10.0.0.2, and what else is or is not an announcement.
    static let announcements: [(name: String, frame: [UInt8], isKept: Bool)] = [
        ("ARP", typed(0x0806, [UInt8](repeating: 0, count: 46)), true),
        ("DHCP from a client", typed(0x0800, udp(68, 67)), true),
        ("DHCP from a server", typed(0x0800, udp(67, 68)), true),
        ("other UDP", typed(0x0800, udp(68, 68)), false),
        ("DHCP with options in the IP header", typed(0x0800, udp(68, 67, options: 8)), true),
        ("a header length below the least", typed(0x0800, [0x41] + udp(68, 67).dropFirst()), false),
        (
            "a header that ends outside",
            typed(0x0800, [0x4F] + udp(68, 67).dropFirst().prefix(40)),
            false
        ),
        ("neighbour solicitation", typed(0x86DD, icmpv6(135)), true),
        ("router advertisement", typed(0x86DD, icmpv6(134)), true),
        ("redirect", typed(0x86DD, icmpv6(137)), true),
        ("multicast listener report", typed(0x86DD, icmpv6(143)), false),
        ("DHCPv6", typed(0x86DD, ipv6(17, [0x02, 0x22, 0x02, 0x23] + zeroes(4))), true),
        ("an IPv6 header alone", typed(0x86DD, Array(ipv6(58, []).prefix(40))), false),
        ("nothing of all", frame(to: broadcast, from: host(1)), false),
    ]

    static func zeroes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

    static func typed(_ type: UInt16, _ payload: some Sequence<UInt8>) -> [UInt8] {
        var bytes = Array(frame(to: broadcast, from: host(1)).prefix(12))
        bytes += [UInt8(type >> 8), UInt8(type & 0xFF)] + payload
        return bytes
    }

    static func udp(_ source: UInt8, _ destination: UInt8, options: Int = 0) -> [UInt8] {
        var bytes: [UInt8] = [0x45 + UInt8(options / 4)] + zeroes(8) + [17] + zeroes(10 + options)
        bytes += [0, source, 0, destination] + zeroes(24)
        return bytes
    }

    static func ipv6(_ next: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0x60, 0, 0, 0, 0, 0, next, 255] + zeroes(32) + payload
    }

    static func icmpv6(_ type: UInt8) -> [UInt8] { ipv6(58, [type] + zeroes(23)) }

    @Test("keeps flooded frames in which hosts announce themselves", arguments: announcements)
    func announcement(_ row: (name: String, frame: [UInt8], isKept: Bool)) {
        let lab = makeLab()
        _ = lab.send(row.frame, into: 0)
        var kept: [(FrameRecord, [UInt8])] = []
        while lab.fabric.links[0].announcements.consume({ kept.append(($0, [UInt8]($1))) }) {}
        #expect(kept.count == (row.isKept ? 1 : 0), "\(row.name)")
        guard let (record, bytes) = kept.first else { return }
        #expect(record.port == 0 && record.domain == 1 && record.time == lab.time)
        #expect(bytes == row.frame)
    }

    @Test("announcements from a trunk are kept without their tag, in their domain")
    func taggedAnnouncement() {
        let lab = makeLab()
        var tagged = Self.typed(0x0806, Self.zeroes(46))
        tagged.insert(contentsOf: [0x81, 0x00, 0, 20], at: 12)
        _ = lab.send(tagged, into: 2)
        // Nobody else is in that domain: what is not flooded announces nothing.
        #expect(!lab.fabric.links[0].announcements.consume { _, _ in })
        tagged[15] = 10
        _ = lab.send(tagged, into: 2)
        var records: [FrameRecord] = []
        while lab.fabric.links[0].announcements.consume({ record, bytes in
            records.append(record)
            #expect([UInt8](bytes.prefix(14).suffix(2)) == [0x08, 0x06])
        }) {}
        #expect(records.map(\.domain) == [1])
    }

    @Test("a port that announces too much is cut off, and its frames are not")
    func announcementLimit() {
        let lab = makeLab()
        var delivered = 0
        for _ in 0..<2_000 {
            delivered += lab.send(Self.typed(0x0806, Self.zeroes(46)), into: 0).count
        }
        #expect(delivered == 4_000)
        var kept = 0
        while lab.fabric.links[0].announcements.consume({ _, _ in kept += 1 }) {}
        #expect(kept > 0 && kept < 2_000)
    }

    // MARK: Loop probes

    private let own = LoopProbe.sourceMAC(instance: 7)

    private func pin(_ lab: TestSwitch) {
        for domain in [1, 2] as [UInt16] {
            lab.command(
                .addStatic(
                    FDBKey(domain: domain, address: own), port: PortNumber.switchItself))
        }
    }

    @Test("a probe that comes back is consumed, counted as that, and told with where it came in")
    func returnedProbe() {
        let lab = makeLab()
        pin(lab)
        let probe = LoopProbe(instance: 7, serial: 0xDEAD_BEEF, port: 0, domain: 1)
        #expect(lab.send(probe.frame, into: 1) == [])
        let returned = lab.fabric.links[0].returnedProbes.pop()
        #expect(returned?.probe == probe)
        #expect(returned?.ingress == 1 && returned?.domain == 1)
        #expect(lab.fabric.value(.consumed, port: 1) == 1)
        #expect(lab.fabric.value(.consumed, domain: 1) == 1)
        ConservationTests.check(lab.fabric, ports: 3)
        ConservationTests.checkDomains(lab.fabric, 1...2)
    }

    @Test("somebody else's frame from the switch's address ends, and is no probe")
    func forgedSource() {
        let lab = makeLab()
        pin(lab)
        #expect(lab.send(frame(to: broadcast, from: own.rawValue), into: 1) == [])
        #expect(
            lab.send(
                Array(LoopProbe(instance: 7, serial: 1, port: 0, domain: 1).frame.prefix(37)),
                into: 1) == [])
        #expect(lab.fabric.links[0].returnedProbes.pop() == nil)
        #expect(lab.fabric.value(.consumed, port: 1) == 2)
        ConservationTests.check(lab.fabric, ports: 3)
        ConservationTests.checkDomains(lab.fabric, 1...2)
    }

    @Test("another switch's probe is a frame like any other")
    func foreignProbe() {
        let lab = makeLab()
        pin(lab)
        let probe = LoopProbe(instance: 8, serial: 1, port: 0, domain: 1)
        #expect(lab.send(probe.frame, into: 1) == [0, 2])
        #expect(lab.fabric.links[0].returnedProbes.pop() == nil)
    }

    @Test("a frame to the switch's own address goes nowhere")
    func toTheSwitch() {
        let lab = makeLab()
        pin(lab)
        #expect(lab.send(frame(to: own.rawValue, from: host(1)), into: 0) == [])
        #expect(lab.drops(.notMember, port: 0) == 1)
        ConservationTests.check(lab.fabric, ports: 3)
    }

    @Test("an injected frame leaves by its port alone, as that port has its network")
    func injected() {
        let lab = makeLab()
        let probe = LoopProbe(instance: 7, serial: 1, port: 2, domain: 2)
        lab.fabric.links[0].inject(InjectedFrame(egress: 2, domain: 2, bytes: probe.frame))
        lab.run()
        #expect(lab.ports[0].take() == nil && lab.ports[1].take() == nil)
        var tagged = probe.frame
        tagged.insert(contentsOf: [0x81, 0x00, 0, 20], at: 12)
        #expect(lab.ports[2].take()?.frame == tagged)
        #expect(lab.fabric.value(.transmitted, port: 2) == 1)
        ConservationTests.check(lab.fabric, ports: 3)
        ConservationTests.checkDomains(lab.fabric, 1...2)
    }

    static let refused: [(InjectedFrame, String)] = [
        (InjectedFrame(egress: 0, domain: 2, bytes: [UInt8](repeating: 0, count: 60)), "no member"),
        (InjectedFrame(egress: 9, domain: 1, bytes: [UInt8](repeating: 0, count: 60)), "no port"),
        (InjectedFrame(egress: 0, domain: 9, bytes: [UInt8](repeating: 0, count: 60)), "no domain"),
        (InjectedFrame(egress: 0, domain: 1, bytes: [UInt8](repeating: 0, count: 13)), "a runt"),
        (
            InjectedFrame(egress: 0, domain: 1, bytes: [UInt8](repeating: 0, count: 1515)),
            "too long"
        ),
    ]

    @Test(
        "an injected frame for a port that is gone or in another network is let go",
        arguments: refused)
    func refusedInjection(_ frame: InjectedFrame, _ why: String) {
        let lab = makeLab()
        lab.fabric.links[0].inject(frame)
        lab.run()
        #expect(lab.ports.allSatisfy { $0.take() == nil }, "\(why)")
        ConservationTests.check(lab.fabric, ports: 3)
    }

    @Test("an injected frame does not leave by a port that is down")
    func downPort() {
        let lab = makeLab()
        let down = lab.add(.access(domain: 1), isUp: false)
        lab.fabric.links[0].inject(
            InjectedFrame(egress: down, domain: 1, bytes: Self.zeroes(60)))
        lab.run()
        #expect(lab.ports[Int(down)].take() == nil)
    }
}
