import Testing

@testable import Dataplane

@Suite("VLAN tags at access and trunk ports")
struct VLANTests {
    @Test("a second tag ends the frame: where the first is taken off, it would lead elsewhere")
    func hopping() {
        let lab = TestSwitch(domains: [
            DomainConfiguration(number: 1, vid: 10), DomainConfiguration(number: 2, vid: 20),
        ])
        let access = lab.add(.access(domain: 1))
        let trunk = lab.add(.trunk(domains: [1, 2], native: 1))
        lab.add(.access(domain: 1))
        var inner = frame(to: broadcast, from: host(1), tag: 20)
        // 802.1ad's tag on the outside is payload, whatever lies behind it.
        for (outer, passes) in [(0x8100 as UInt16, false), (0x88A8, true)] {
            for (port, tci) in [(access, 0 as UInt16), (trunk, 10)] {
                inner = frame(to: broadcast, from: host(1), tag: 20)
                inner.insert(
                    contentsOf: [UInt8(outer >> 8), UInt8(outer & 0xFF), 0, UInt8(tci)], at: 12)
                let before = lab.drops(.secondTag, port: port)
                let reached = lab.send(inner, into: port)
                #expect(reached.isEmpty != passes)
                #expect(lab.drops(.secondTag, port: port) == before + (passes ? 0 : 1))
            }
        }
    }

    let lab = TestSwitch(domains: [
        DomainConfiguration(number: 1, vid: 10), DomainConfiguration(number: 2, vid: 20),
        DomainConfiguration(number: 3, vid: 30), DomainConfiguration(number: 4, vid: 0),
    ])
    let red: UInt16
    let green: UInt16
    let trunk: UInt16
    let hybrid: UInt16

    init() {
        red = lab.add(.access(domain: 1))
        green = lab.add(.access(domain: 2))
        trunk = lab.add(.trunk(domains: [1, 2], native: nil))
        hybrid = lab.add(.trunk(domains: [1, 2, 4].filter { $0 != 4 }, native: 2))
    }

    @Test("an access port's frame leaves a trunk tagged and a native trunk untagged")
    func push() throws {
        let outputs = lab.outputs(frame(to: broadcast, from: host(1), mark: 7), into: green)
        #expect(outputs.map(\.port) == [trunk, hybrid])
        #expect(outputs[0].frame == frame(to: broadcast, from: host(1), tag: 20, mark: 7))
        #expect(outputs[1].frame == frame(to: broadcast, from: host(1), mark: 7))
    }

    @Test("a trunk's frame leaves access ports without its tag")
    func pop() {
        let outputs = lab.outputs(
            frame(to: broadcast, from: host(1), tag: 10, mark: 9), into: trunk)
        #expect(outputs.map(\.port) == [red, hybrid])
        #expect(outputs[0].frame == frame(to: broadcast, from: host(1), mark: 9))
        #expect(outputs[1].frame == frame(to: broadcast, from: host(1), tag: 10, mark: 9))
    }

    @Test(
        "the native network is accepted untagged, with VID 0 and tagged",
        arguments: [nil, 0x0000, 0xE000, 20, 0x6014] as [UInt16?])
    func native(tag: UInt16?) {
        #expect(
            lab.send(frame(to: broadcast, from: host(1), tag: tag), into: hybrid) == [green, trunk])
    }

    @Test("priority and drop eligibility survive from tag to tag, also from VID 0")
    func priority() {
        let rewritten = lab.outputs(
            frame(to: broadcast, from: host(1), tag: 0xB00A), into: trunk)
        #expect(rewritten.last?.frame == frame(to: broadcast, from: host(1), tag: 0xB00A))
        let pushed = lab.outputs(frame(to: broadcast, from: host(2), tag: 0xE000), into: red)
        #expect(pushed.first?.frame == frame(to: broadcast, from: host(2), tag: 0xE00A))
    }

    @Test(
        "what a trunk does not carry is dropped with its reason",
        arguments: [
            (nil, DropReason.untaggedOnTrunk),
            (0x0000, .untaggedOnTrunk),  // VID 0 is untagged with a priority
            (0x2000, .untaggedOnTrunk),
            (30, .vlanNotAllowed),  // exists, but not here
            (99, .vlanNotAllowed),  // exists nowhere
            (0xFFF, .reservedVLAN),
        ] as [(UInt16?, DropReason)])
    func refused(tag: UInt16?, reason: DropReason) {
        #expect(lab.send(frame(to: broadcast, from: host(1), tag: tag), into: trunk) == [])
        #expect(lab.drops(reason, port: trunk) == 1)
    }

    @Test("a provider tag is payload")
    func providerTag() {
        var provider = frame(to: broadcast, from: host(1))
        provider.insert(contentsOf: [0x88, 0xA8, 0x00, 0x14], at: 12)
        #expect(
            lab.outputs(provider, into: red).last?.frame.prefix(16).suffix(4) == [0x81, 0, 0, 10])
    }

    @Test("a tagged frame's partial checksum is found at both places")
    func offloadShift() throws {
        let wide = TestSwitch(domains: [DomainConfiguration(number: 1, vid: 10)])
        wide.add(.trunk(domains: [1], native: nil), offloads: .all)
        wide.add(.access(domain: 1), offloads: .all)
        wide.add(.trunk(domains: [1], native: nil), offloads: .all)
        let udp = UDPFrame.partialChecksum(tag: 10)
        let outputs = wide.outputs(udp.bytes, into: 0, offload: udp.offload)
        #expect(outputs.map(\.port) == [1, 2])
        #expect(outputs[0].offload.checksumStart == udp.offload.checksumStart - 4)
        #expect(outputs[1].offload == udp.offload)
        #expect(outputs[1].frame == udp.bytes)
    }
}

/// A UDP/IPv4 frame whose checksum is left to the switch.
struct UDPFrame {
    var bytes: [UInt8]
    var offload: Offload

    static func partialChecksum(tag: UInt16?) -> UDPFrame {
        var bytes = frame(to: broadcast, from: host(1), tag: tag, payload: 0)
        bytes.removeLast(6)
        bytes += [0x08, 0x00]  // EtherType IPv4
        let start = bytes.count + 20
        bytes += [0x45, 0, 0, 36, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 255]  // IPv4
        bytes += [0x10, 0x00, 0x10, 0x01, 0, 16, 0, 0]  // UDP
        bytes += [1, 2, 3, 4, 5, 6, 7, 8]
        var offload = Offload.none
        offload.flags = 1
        offload.checksumStart = UInt16(start)
        offload.checksumOffset = 6
        return UDPFrame(bytes: bytes, offload: offload)
    }
}
