import CLinux
import Glibc
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

/// A port on one end of a veth in a namespace of its own; frames are exchanged at the other end.
@Suite(
    "A port on a device that exists", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"),
    .enabled(if: ExternalTool.isAvailable("ip", package: "iproute2")))
struct PacketPortTests {
    /// `va` has the port, `vb` is the wire. Neither speaks by itself.
    private func withPort(
        mtu: Int = 9000, _ body: (PacketPort) throws -> Void
    ) throws {
        try inFreshNamespace {
            try ip("link add va mtu \(mtu) type veth peer name vb mtu \(mtu)")
            for name in ["va", "vb"] {
                try ip("link set \(name) addrgenmode none arp off up")
            }
            // The kernel drops what is sent in the first moments after a device came up.
            let (near, far) = (try FrameSocket("va"), try FrameSocket("vb"))
            try #require(
                soon {
                    near.send(frame(60))
                    return far.receive(within: 20) != nil
                })
            try body(try PacketPort(index: Int32(if_nametoindex("va")), name: "va"))
        }
    }

    private func frame(
        _ byteCount: Int, number: Int = 0, tag: [UInt8] = []
    ) -> [UInt8] {
        let addresses: [UInt8] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]
        let type: [UInt8] = [0x88, 0xB5]
        let head = addresses + tag + type
        return head + pattern(byteCount - head.count, seed: UInt64(number + 1))
    }

    // MARK: Receiving

    @Test("receives frames of every length, in order, those in the ring and those beside it")
    func lengths() throws {
        try withPort { port in
            let wire = try FrameSocket("vb")
            var lengths = [14, 15, 60, 252, 253, 256, 257, 511, 512, 513, 1514, 1651, 1652, 1653]
            lengths += [1654, 2000, 9014, 64, 9014, 9013, 100]
            let sent = (0..<200).map { frame(lengths[$0 % lengths.count], number: $0) }
            for part in 0..<10 {
                for one in sent[(part * 20)..<(part * 20 + 20)] { #expect(wire.send(one) == 0) }
                let received = TestFrame.receive(20, from: port)
                #expect(received.map(\.bytes) == Array(sent[(part * 20)..<(part * 20 + 20)]))
                #expect(received.allSatisfy { !$0.offload.isPending })
            }
            #expect(port.receiveDropped == 0)
        }
    }

    @Test("goes round its ring, a burst at a time")
    func manyFrames() throws {
        try withPort { port in
            let wire = try FrameSocket("vb")
            for round in 0..<20 {
                let sent = (0..<130).map { frame(64 + $0 * 12, number: round * 130 + $0) }
                for one in sent { wire.send(one) }
                #expect(TestFrame.receive(130, from: port).map(\.bytes) == sent)
            }
            #expect(port.receiveDropped == 0)
        }
    }

    @Test("puts tags back that the kernel took off, outer and inner, in short frames and long ones")
    func tags() throws {
        try withPort { port in
            let wire = try FrameSocket("vb")
            let tags: [[UInt8]] = [
                [0x81, 0x00, 0xE0, 0x0A],  // priority 7, VLAN 10
                [0x81, 0x00, 0x00, 0x00],  // a priority tag
                [0x88, 0xA8, 0x00, 0x64],  // a service tag
                [0x88, 0xA8, 0x00, 0x64, 0x81, 0x00, 0x00, 0x0A],  // one around another
                [0x81, 0x00, 0x00, 0x0A, 0x81, 0x00, 0x00, 0x14],
            ]
            let sent = tags.enumerated().flatMap { number, tag in
                [60, 252, 512, 513, 516, 517, 1518, 9014].map {
                    frame($0, number: number, tag: tag)
                }
            }
            for one in sent { #expect(wire.send(one) == 0) }
            #expect(TestFrame.receive(sent.count, from: port).map(\.bytes) == sent)
        }
    }

    @Test("receives super-frames and partial checksums whole, and says what is left to do")
    func offloads() throws {
        try withPort { port in
            let wire = try FrameSocket("vb", hasVnetHeader: true)
            let rows: [(payload: Int, tag: Bool, gso: Bool)] = [
                (100, false, false), (1400, true, false), (60_000, false, true),
                (60_000, true, true), (3000, false, true),
            ]
            for row in rows {
                let builder = FrameBuilder()
                let bytes = (row.tag ? builder.tagged(10) : builder).ipv4()
                    .tcp(payload: pattern(row.payload), isPartial: true)
                let start = UInt16(row.tag ? 38 : 34)
                let offload = Offload(
                    flags: Offload.needsChecksum,
                    gsoType: row.gso ? Offload.gsoTCPv4 : Offload.gsoNone,
                    headerByteCount: start + 20, gsoSize: row.gso ? 1448 : 0,
                    checksumStart: start, checksumOffset: 16)
                #expect(wire.send(TestFrame.header(offload) + bytes) == 0)
                let received = try #require(TestFrame.receive(1, from: port).first)
                #expect(received.bytes == bytes)
                #expect(received.offload.flags == offload.flags)
                #expect(received.offload.gsoType == offload.gsoType)
                #expect(received.offload.gsoSize == offload.gsoSize)
                #expect(received.offload.checksumStart == start)
                #expect(received.offload.checksumOffset == 16)
            }
        }
    }

    @Test("counts what it lost because nobody took it in time")
    func overflow() throws {
        try withPort { port in
            let wire = try FrameSocket("vb")
            let count = PacketRing.slotCount + 100
            for number in 0..<count { wire.send(frame(64, number: number)) }
            #expect(port.receiveDropped == 100)
            let received = TestFrame.receive(PacketRing.slotCount, from: port)
            #expect(
                received.map(\.bytes) == (0..<PacketRing.slotCount).map { frame(64, number: $0) })
            // Long frames run out of the queue's memory first.
            for number in 0..<(PacketRing.slotCount - 1) { wire.send(frame(9014, number: number)) }
            wire.send(frame(64))
            let rest = TestFrame.receive(PacketRing.slotCount, from: port)
            #expect(rest.last?.bytes == frame(64))
            #expect(rest.count < PacketRing.slotCount)
            #expect(
                Int(port.receiveDropped) + rest.count == 100 + PacketRing.slotCount,
                "each is received or counted")
            for (number, one) in rest.dropLast().enumerated() {
                #expect(one.bytes == frame(9014, number: number))
            }
        }
    }

    // MARK: Transmitting

    @Test("sends a frame's pieces as one frame")
    func pieces() throws {
        try withPort { port in
            let wire = try FrameSocket("vb")
            let sent = (0..<100).map { frame(200 + $0 * 80, number: $0) }
            let outcomes = TestFrame.transmit(
                sent.enumerated().map { number, bytes in
                    TestFrame(
                        bytes: bytes, cuts: [[], [16], [16, 30, 60], [16, 120, 121]][number % 4])
                }, by: port)
            #expect(outcomes.allSatisfy { $0 == "none" })
            for one in sent { #expect(wire.receive() == one) }
            #expect(TestFrame.isDrained(port), "it does not see its own")
        }
    }

    @Test("sends super-frames and partial checksums whole")
    func sendsOffloads() throws {
        try withPort(mtu: 1500) { port in
            let wire = try FrameSocket("vb", hasVnetHeader: true)
            #expect(port.offloads == .all)
            for (payload, tagged) in [(100, false), (50_000, false), (50_000, true)] {
                let builder = FrameBuilder()
                let bytes = (tagged ? builder.tagged(10) : builder).ipv4()
                    .tcp(payload: pattern(payload), isPartial: true)
                let start = UInt16(tagged ? 38 : 34)
                let offload = Offload(
                    flags: Offload.needsChecksum,
                    gsoType: payload > 1448 ? Offload.gsoTCPv4 : Offload.gsoNone,
                    headerByteCount: start + 20, gsoSize: payload > 1448 ? 1448 : 0,
                    checksumStart: start, checksumOffset: 16)
                let outcomes = TestFrame.transmit(
                    [TestFrame(bytes: bytes, offload: offload, cuts: [16, 300, 5000])], by: port)
                #expect(outcomes == ["none"])
                let received = try #require(wire.receive())
                #expect(Array(received[10...]) == bytes)
                #expect(received[1] == offload.gsoType)
                #expect(
                    received[4...5].elementsEqual([
                        UInt8(offload.gsoSize & 0xFF), UInt8(offload.gsoSize >> 8),
                    ]))
            }
        }
    }

    @Test("says of each frame that is not sent why, and sends the others")
    func outcomes() throws {
        try withPort(mtu: 1500) { port in
            let wire = try FrameSocket("vb")
            let frames = [
                frame(60), frame(1514), frame(1515), frame(1518, tag: [0x81, 0, 0, 10]),
                frame(1519, tag: [0x81, 0, 0, 10]), frame(61),
            ]
            let outcomes = TestFrame.transmit(frames.map { TestFrame(bytes: $0) }, by: port)
            #expect(
                outcomes == ["none", "none", "egress-rejected", "none", "egress-rejected", "none"])
            for index in [0, 1, 3, 5] { #expect(wire.receive() == frames[index]) }
            let tooManyPieces = TestFrame(bytes: frame(1514), cuts: Array(16..<1400))
            #expect(
                TestFrame.transmit([tooManyPieces, TestFrame(bytes: frame(62))], by: port)
                    == ["egress-rejected", "none"])
            #expect(wire.receive() == frame(62))
        }
    }

    // MARK: The device's life

    @Test("waits for a device that is down, and is drained for good when it is gone")
    func downAndGone() throws {
        try withPort { port in
            let wire = try FrameSocket("vb")
            try ip("link set va down")
            port.disarm()
            #expect(TestFrame.isDrained(port))
            #expect(TestFrame.transmit([TestFrame(bytes: frame(60))], by: port) == ["egress-down"])
            #expect(port.arm() && !isReadable(port), "and is quiet")
            try ip("link set va up")
            #expect(
                soon {
                    wire.send(frame(60))
                    return !port.arm()
                })
            #expect(TestFrame.receive(1, from: port).first?.bytes == frame(60))
            #expect(TestFrame.transmit([TestFrame(bytes: frame(60))], by: port) == ["none"])
            try ip("link delete va")
            port.disarm()
            #expect(TestFrame.isDrained(port))
            #expect(TestFrame.transmit([TestFrame(bytes: frame(60))], by: port) == ["egress-down"])
            #expect(port.arm() && !isReadable(port), "and is quiet")
        }
    }

    @Test("tells when there is something to receive, if it was asked to")
    func waiting() throws {
        try withPort { port in
            let wire = try FrameSocket("vb")
            #expect(!isReadable(port))
            wire.send(frame(60))
            #expect(isReadable(port), "at first it is armed")
            port.disarm()
            #expect(!isReadable(port))
            #expect(!port.arm(), "something is there")
            #expect(TestFrame.receive(1, from: port).count == 1)
            #expect(port.arm() && !isReadable(port))
            wire.send(frame(9000))
            #expect(isReadable(port))
            port.disarm()
            #expect(TestFrame.receive(1, from: port).count == 1)
        }
    }

    @Test("is not made without a device that carries Ethernet")
    func refused() throws {
        try inFreshNamespace {
            #expect(throws: PacketError.missing(device: "none")) {
                try PacketPort(index: 77, name: "none")
            }
            try ip("link set lo up")
            #expect(throws: PacketError.notEthernet(device: "lo")) {
                try PacketPort(index: 1, name: "lo")
            }
        }
    }

    private func isReadable(_ port: PacketPort) -> Bool {
        var interest = pollfd(fd: port.pollDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
        return poll(&interest, 1, 0) == 1
    }
}
