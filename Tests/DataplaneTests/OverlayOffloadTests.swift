import TestSupport
import Testing
import Wire

@testable import Dataplane

/// What becomes of unfinished work at both ends of a tunnel.
@Suite("Offloads across tunnels")
struct OverlayOffloadTests {
    static let blue = DomainConfiguration(number: 1, vid: 10, mtu: 9000, vni: 10_010)
    private static let tunnel = OverlayLab.tunnel(to: 1)

    private static func lab(
        _ encapsulation: Encapsulation = .vxlan, offloads: OffloadSet = .all, mtu: UInt32 = 9000,
        clampsMSS: Bool = false
    ) -> OverlayLab {
        var domain = blue
        domain.mtu = mtu
        let lab = OverlayLab(
            hosts: 2, domains: [domain], encapsulation: encapsulation, clampsMSS: clampsMSS,
            segments: encapsulation == .vxlan || encapsulation == .geneve)
        lab.add(.access(domain: 1), to: 0, offloads: .all)
        lab.add(.access(domain: 1), to: 1, offloads: offloads)
        return lab
    }

    private static func payload(_ byteCount: Int) -> [UInt8] {
        (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
    }

    /// A TCP super-frame for everybody, as a guest sends it.
    private static func superFrame(
        isIPv6: Bool = false, payload: [UInt8], gsoSize: Int, flags: TCPFlags = .ack
    ) -> (bytes: [UInt8], offload: Offload) {
        let builder = FrameBuilder(
            from: MACAddress(rawValue: host(1)), to: MACAddress(rawValue: broadcast))
        let transport = isIPv6 ? 54 : 34
        return (
            (isIPv6 ? builder.ipv6() : builder.ipv4()).tcp(
                flags: flags, payload: payload, isPartial: true),
            Offload(
                flags: Offload.needsChecksum,
                gsoType: isIPv6 ? Offload.gsoTCPv6 : Offload.gsoTCPv4,
                headerByteCount: UInt16(transport + 20), gsoSize: UInt16(gsoSize),
                checksumStart: UInt16(transport), checksumOffset: 16)
        )
    }

    @Test(
        "a super-frame is cut for the underlay and is one again at the far end, byte for byte",
        arguments: Encapsulation.allCases, [false, true])
    func roundTrip(encapsulation: Encapsulation, isIPv6: Bool) {
        let lab = Self.lab(encapsulation)
        let (bytes, offload) = Self.superFrame(
            isIPv6: isIPv6, payload: Self.payload(20_500), gsoSize: 1000, flags: [.ack, .psh])
        let arrived = lab.send(bytes, into: 0, of: 0, offload: offload)
        #expect(arrived.count == 1)
        #expect(arrived.first?.frame == bytes)
        #expect(arrived.first?.offload == offload)
        let sent = lab.hosts[0].underlay.sent
        let isCut = encapsulation == .gre || encapsulation == .nvgre
        #expect(sent.count == (isCut ? 21 : 1), "raw sockets take one datagram a message")
        #expect(sent.first?.datagrams.segmentByteCount == 8 + (isIPv6 ? 74 : 54) + 1000)
        #expect(lab.hosts[0].fabric.value(.transmitted, port: Self.tunnel) == 1)
        #expect(lab.hosts[0].fabric.value(.transmittedSegments, port: Self.tunnel) == 21)
        #expect(lab.hosts[1].fabric.value(.receivedSegments, port: OverlayLab.tunnel(to: 0)) == 21)
        for host in lab.hosts { ConservationTests.check(host.fabric, ports: 110) }
    }

    /// 2,048 segments need more headers than there is room for at once: the message writer sends in
    /// the middle of the frame.
    @Test("the smallest segments arrive all, in messages that a kernel takes")
    func smallest() {
        let lab = Self.lab()
        let payload = Self.payload(2048 * 31)
        let (bytes, offload) = Self.superFrame(payload: payload, gsoSize: 31)
        let arrived = lab.send(bytes, into: 0, of: 0, offload: offload)
        #expect(Array(arrived.map { $0.frame.dropFirst(54) }.joined()) == payload)
        let sent = lab.hosts[0].underlay.sent
        for message in sent {
            let segment = message.datagrams.segmentByteCount
            #expect(segment == 8 + 54 + 31)
            #expect(message.datagrams.bytes.count <= 128 * segment)
        }
        #expect(sent.reduce(0) { $0 + $1.datagrams.bytes.count } == 2048 * (8 + 54 + 31))
        #expect(lab.hosts[0].fabric.value(.transmitted, port: Self.tunnel) == 1)
        #expect(lab.hosts[0].fabric.value(.transmittedSegments, port: Self.tunnel) == 2048)
    }

    @Test("of a super-frame of which one part was refused, the copy is one drop", arguments: 0..<16)
    func refusedPart(part: Int) {
        let lab = Self.lab()
        let (bytes, offload) = Self.superFrame(payload: Self.payload(2048 * 31), gsoSize: 31)
        // Nothing but the count of calls tells the parts apart: 128 segments each.
        nonisolated(unsafe) var count = 0
        lab.hosts[0].underlay.outcome = { _ in
            defer { count += 1 }
            return count == part ? .egressFull : .none
        }
        _ = lab.send(bytes, into: 0, of: 0, offload: offload)
        #expect(count == 16)
        #expect(lab.hosts[0].value(.egressFull, Self.tunnel) == 1)
        #expect(lab.hosts[0].fabric.value(.transmitted, port: Self.tunnel) == 0)
        ConservationTests.check(lab.hosts[0].fabric, ports: 110)
    }

    @Test("a partial checksum is complete in the underlay", arguments: [false, true])
    func checksum(isIPv6: Bool) {
        let lab = Self.lab()
        let builder = FrameBuilder(
            from: MACAddress(rawValue: host(1)), to: MACAddress(rawValue: broadcast))
        let network = isIPv6 ? builder.ipv6() : builder.ipv4()
        let arrived = lab.send(
            network.udp(payload: Self.payload(300), isPartial: true), into: 0, of: 0,
            offload: Offload(
                flags: Offload.needsChecksum, checksumStart: isIPv6 ? 54 : 34, checksumOffset: 6))
        #expect(arrived.map(\.frame) == [network.udp(payload: Self.payload(300))])
    }

    // MARK: A kernel as the other end

    private static func inject(_ frame: [UInt8], into lab: OverlayLab) -> [OverlayLab.Delivery] {
        lab.hosts[1].underlay.inject(
            [8, 0, 0, 0, 0, 0x27, 0x1A, 0] + frame, from: OverlayLab.address(of: 0))
        return lab.deliveries().filter { $0.host == 1 }
    }

    @Test(
        "what a kernel left unfinished is partial for a port that takes that", arguments: [6, 17])
    func unfinished(kind: UInt8) {
        let builder = FrameBuilder(to: MACAddress(rawValue: broadcast)).ipv4()
        func frame(isPartial: Bool) -> [UInt8] {
            kind == 6
                ? builder.tcp(payload: Self.payload(500), isPartial: isPartial)
                : builder.udp(payload: Self.payload(500), isPartial: isPartial)
        }
        let whole = Self.inject(frame(isPartial: true), into: Self.lab(offloads: .all))
        #expect(whole.map(\.frame) == [frame(isPartial: true)])
        #expect(whole.first?.offload.needsChecksum == true)
        #expect(whole.first?.offload.checksumStart == 34)
        let finished = Self.inject(frame(isPartial: true), into: Self.lab(offloads: []))
        #expect(
            finished.map(\.frame) == [frame(isPartial: false)], "and finished for one that does not"
        )
    }

    @Test(
        "an un-cut super-frame of a kernel is cut to the network's MTU", arguments: [false, true])
    func uncut(isIPv6: Bool) {
        let payload = Self.payload(30_000)
        let (bytes, _) = Self.superFrame(isIPv6: isIPv6, payload: payload, gsoSize: 1)
        let whole = Self.inject(bytes, into: Self.lab(offloads: .all, mtu: 1500))
        #expect(whole.map(\.frame) == [bytes])
        #expect(whole.first?.offload.gsoSize == (isIPv6 ? 1440 : 1460))
        #expect(whole.first?.offload.gsoType == (isIPv6 ? Offload.gsoTCPv6 : Offload.gsoTCPv4))
        let cut = Self.inject(bytes, into: Self.lab(offloads: [], mtu: 1500))
        #expect(cut.allSatisfy { $0.frame.count <= 1514 && !$0.offload.isPending })
        #expect(Array(cut.map { $0.frame.dropFirst(isIPv6 ? 74 : 54) }.joined()) == payload)
    }

    /// What is behind the IP packet is in no checksum of its own; to "finish" over it would make a
    /// right one wrong.
    @Test("a right checksum that looks unfinished stays right, whatever pads the frame")
    func padded() {
        var frame = FrameBuilder(to: MACAddress(rawValue: broadcast)).ipv4().udp(
            payload: [0, 0, 5, 6])
        // The payload's first word is what makes the finished checksum the pseudo header's sum.
        let pseudo =
            UInt16(
                FrameBuilder().ipv4().udp(payload: [0, 0, 5, 6], isPartial: true)[40]) << 8
            | UInt16(FrameBuilder().ipv4().udp(payload: [0, 0, 5, 6], isPartial: true)[41])
        let complete = UInt16(frame[40]) << 8 | UInt16(frame[41])
        var sum = UInt32(complete) + UInt32(~pseudo)
        sum = (sum & 0xFFFF) + sum >> 16
        frame[42] = UInt8(sum >> 8)
        frame[43] = UInt8(sum & 0xFF)
        let right = FrameBuilder(to: MACAddress(rawValue: broadcast)).ipv4().udp(
            payload: [frame[42], frame[43], 5, 6])
        #expect(UInt16(right[40]) << 8 | UInt16(right[41]) == pseudo, "the case that is tested")
        for padding in [[], [0, 0, 0], [1, 2, 3]] as [[UInt8]] {
            let arrived = Self.inject(right + padding, into: Self.lab(offloads: []))
            #expect(arrived.map(\.frame) == [right + padding])
        }
    }

    // MARK: MSS

    @Test("the MSS of a SYN is lowered on the way in and on the way out", arguments: [true, false])
    func clamp(isSender: Bool) {
        let lab = Self.lab()
        let clamping = lab.hosts[isSender ? 0 : 1]
        clamping.configuration.tunnels[0].clampsMSS = true
        lab.publish(clamping)
        let builder = FrameBuilder(
            from: MACAddress(rawValue: host(1)), to: MACAddress(rawValue: broadcast))
        let arrived = lab.send(
            builder.ipv4().tcp(flags: .syn, options: [2, 4, 0x22, 0xF0]), into: 0, of: 0)
        let expected = builder.ipv4().tcp(
            flags: .syn, options: [2, 4, UInt8(1410 >> 8), UInt8(1410 & 0xFF)])
        #expect(arrived.map(\.frame) == [expected], "1450 less IP and TCP, and a right checksum")
    }
}
