import Testing

@testable import Dataplane

@Suite("Forwarding between access ports")
struct ForwardingTests {
    let lab = TestSwitch(domains: [
        DomainConfiguration(number: 1, vid: 10), DomainConfiguration(number: 2, vid: 20),
    ])

    @Test("an unknown destination is flooded to the other ports of the network only")
    func unknownUnicast() {
        for domain in [1, 1, 1, 2] as [UInt16] { lab.add(.access(domain: domain)) }
        #expect(lab.send(frame(to: host(2), from: host(1)), into: 0) == [1, 2])
        #expect(lab.fabric.value(.flooded, port: 0) == 1)
    }

    @Test("a learned destination gets the frame alone, byte for byte")
    func learnedUnicast() throws {
        for _ in 0..<3 { lab.add(.access(domain: 1)) }
        _ = lab.send(frame(to: broadcast, from: host(2)), into: 1)
        let sent = frame(to: host(2), from: host(1), mark: 0xDEAD_BEEF)
        let outputs = lab.outputs(sent, into: 0)
        #expect(outputs.map(\.port) == [1])
        #expect(try #require(outputs.first).frame == sent)
        #expect(lab.fabric.value(.forwarded, port: 0) == 1)
    }

    @Test("a destination whose port is gone from the configuration is dropped, not looked up")
    func destinationGone() {
        for _ in 0..<3 { lab.add(.access(domain: 1)) }
        _ = lab.send(frame(to: broadcast, from: host(2)), into: 2)
        lab.remove(2)  // the highest number: the table of ports ends before it
        #expect(lab.send(frame(to: host(2), from: host(1)), into: 0) == [])
        #expect(lab.drops(.notMember, port: 0) == 1)
        lab.command(.addStatic(FDBKey(domain: 1, address: host(3)), port: 63))
        #expect(lab.send(frame(to: host(3), from: host(1)), into: 0) == [])
        #expect(lab.drops(.notMember, port: 0) == 2)
    }

    @Test("the same address is learned apart in each network")
    func perDomainLearning() {
        for domain in [1, 2, 1, 2] as [UInt16] { lab.add(.access(domain: domain)) }
        _ = lab.send(frame(to: broadcast, from: host(7)), into: 0)
        _ = lab.send(frame(to: broadcast, from: host(7)), into: 1)
        #expect(lab.learnedPort(host(7), domain: 1) == 0)
        #expect(lab.learnedPort(host(7), domain: 2) == 1)
        #expect(lab.send(frame(to: host(7), from: host(8)), into: 3) == [1])
    }

    @Test(
        "a frame that must not be forwarded is dropped with its reason",
        arguments: [
            (frame(to: host(9), from: 0x0300_0000_0001), DropReason.invalidSource),  // group source
            (frame(to: host(9), from: 0), .invalidSource),  // zero source
            (frame(to: 0x0180_C200_0000, from: host(1)), .reservedAddress),  // BPDU
            (frame(to: 0x0180_C200_000E, from: host(1)), .reservedAddress),  // LLDP
            (frame(to: host(9), from: host(1), tag: 10), .tagOnAccess),  // even its own VLAN
            (frame(to: host(9), from: host(1), tag: 0xFFF), .tagOnAccess),
            ([UInt8](repeating: 2, count: 13), .runt),  // ends in the EtherType
            (Array(frame(to: host(9), from: host(1), tag: 0)[..<17]), .runt),  // ends in the tag
            ([], .runt),
            (frame(to: host(9), from: host(1), payload: 1501), .oversize),  // MTU 1500
        ])
    func drops(bytes: [UInt8], reason: DropReason) {
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        #expect(lab.send(bytes, into: 0) == [])
        #expect(lab.drops(reason, port: 0) == 1)
    }

    @Test("a packet of exactly the MTU passes, tagged or not, and 01:80:C2:00:00:10 is ordinary")
    func limits() {
        lab.add(.access(domain: 1))
        lab.add(.trunk(domains: [1], native: nil))
        #expect(lab.send(frame(to: host(9), from: host(1), payload: 1500), into: 0) == [1])
        let tagged = frame(to: host(9), from: host(2), tag: 10, payload: 1500)
        #expect(lab.send(tagged, into: 1) == [0])
        #expect(lab.send(frame(to: 0x0180_C200_0010, from: host(1)), into: 0) == [1])
    }

    @Test("a frame for a host behind the ingress port is dropped as hairpin and still learned from")
    func hairpin() {
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        _ = lab.send(frame(to: broadcast, from: host(1)), into: 0)
        #expect(lab.send(frame(to: host(1), from: host(2)), into: 0) == [])
        #expect(lab.drops(.hairpin, port: 0) == 1)
        #expect(lab.learnedPort(host(2), domain: 1) == 0)
    }

    @Test("isolated ports reach a port that is not isolated, and not each other")
    func isolation() {
        let first = lab.add(.access(domain: 1), isIsolated: true)
        let second = lab.add(.access(domain: 1), isIsolated: true)
        let gateway = lab.add(.access(domain: 1))
        #expect(lab.send(frame(to: broadcast, from: host(1)), into: first) == [gateway])
        #expect(lab.send(frame(to: broadcast, from: host(2)), into: second) == [gateway])
        #expect(lab.send(frame(to: broadcast, from: host(3)), into: gateway) == [first, second])
        #expect(lab.send(frame(to: host(2), from: host(1)), into: first) == [])
        #expect(lab.drops(.isolated, port: first) == 1)
        #expect(lab.send(frame(to: host(2), from: host(3)), into: gateway) == [second])
    }

    @Test("a flood that reaches nobody is a drop, not a silence")
    func floodNowhere() {
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 2))
        #expect(lab.send(frame(to: broadcast, from: host(1)), into: 0) == [])
        #expect(lab.drops(.floodNowhere, port: 0) == 1)
    }

    @Test("a port that is down neither sends nor receives")
    func portDown() {
        lab.add(.access(domain: 1), isUp: false)
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        #expect(lab.send(frame(to: broadcast, from: host(1)), into: 0) == [])
        #expect(lab.drops(.portDown, port: 0) == 1)
        #expect(lab.send(frame(to: broadcast, from: host(2)), into: 1) == [2])
    }

    @Test("a destination whose port has left the network is dropped until the entry is flushed")
    func notMember() {
        for _ in 0..<3 { lab.add(.access(domain: 1)) }
        _ = lab.send(frame(to: broadcast, from: host(2)), into: 2)
        lab.remove(2)
        lab.add(.access(domain: 2))
        #expect(lab.send(frame(to: host(2), from: host(1)), into: 0) == [])
        #expect(lab.drops(.notMember, port: 0) == 1)
        lab.command(.flush(FDB.FlushPattern(port: 2)))
        #expect(lab.send(frame(to: host(2), from: host(1)), into: 0) == [1])
    }

    @Test("a full egress port drops its copies and delivers the others'")
    func egressFull() {
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1), depth: 4)
        lab.add(.access(domain: 1))
        for mark in 0..<10 {
            _ = lab.ports[0].put(frame(to: broadcast, from: host(1), mark: UInt32(mark)))
        }
        lab.run()
        #expect(lab.drops(.egressFull, port: 1) == 6)
        #expect(lab.fabric.value(.transmitted, port: 1) == 4)
        #expect(lab.fabric.value(.transmitted, port: 2) == 10)
    }
}
