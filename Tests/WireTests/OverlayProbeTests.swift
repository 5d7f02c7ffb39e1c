import TestSupport
import Testing
import Wire

@Suite("A tunnel probe")
struct OverlayProbeTests {
    private static let control = BFDControl(
        state: .up, diagnostic: 3, isPoll: true, detectMultiplier: 3,
        myDiscriminator: 0x0102_0304, yourDiscriminator: 0x0506_0708,
        desiredMinimumTransmitInterval: 250_000, requiredMinimumReceiveInterval: 300_000)

    private static let bfd =
        """
        23 e0 03 18         // version 1, diagnostic 3; up, poll; multiplier 3; 24 bytes
        01 02 03 04         // my discriminator
        05 06 07 08         // your discriminator
        00 03 d0 90         // 250 ms desired
        00 04 93 e0         // 300 ms required
        00 00 00 00         // no echo
        """

    @Test("is this frame over IPv4")
    func goldenIPv4() {
        let frame = build(.v4(IPv4Address(192, 0, 2, 1)))
        #expect(
            frame
                == Hex.bytes(
                    """
                    00 00 5e 00 52 02   // IANA: BFD for VXLAN
                    02 00 00 00 00 01 08 00
                    45 c0 00 34 00 00 40 00 // CS6, length 52, DF
                    ff 11 39 f6             // TTL 255, UDP
                    c0 00 02 01 7f 00 00 01 // 192.0.2.1 > 127.0.0.1
                    c0 00 0e c8 00 20 54 5e // 49152 > 3784, 32 bytes
                    """) + Hex.bytes(Self.bfd))
        #expect(parse(frame) == Self.control)
    }

    @Test("is this frame over IPv6")
    func goldenIPv6() {
        let frame = build(.v6(IPv6Address(high: 0x2001_0DB8_0000_0000, low: 1)))
        #expect(frame.count == OverlayProbe.maximumByteCount)
        #expect(
            frame
                == Hex.bytes(
                    """
                    00 00 5e 00 52 02   // IANA: BFD for VXLAN
                    02 00 00 00 00 01 86 dd
                    6c 00 00 00 00 20 11 ff                             // CS6, 32 bytes, UDP, 255
                    20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
                    00 00 00 00 00 00 00 00 00 00 ff ff 7f 00 00 01     // ::ffff:127.0.0.1
                    c0 00 0e c8 00 20 e8 a5                             // 49152 > 3784, 32 bytes
                    """) + Hex.bytes(Self.bfd))
        #expect(parse(frame) == Self.control)
    }

    @Test("is none when cut short, and may be padded")
    func truncated() {
        for source in Self.sources {
            let frame = build(source)
            for byteCount in 0..<frame.count {
                let cut = Array(frame.prefix(byteCount))
                #expect(parse(cut) == nil, "\(byteCount) bytes")
            }
            let padded = frame + [1, 2, 3]
            #expect(parse(padded) == Self.control)
        }
    }

    @Test("is none with any one bit of it wrong, but for those that nobody looks at")
    func corrupted() {
        for (source, isIPv6) in zip(Self.sources, [false, true]) {
            let frame = build(source)
            for index in frame.indices {
                for bit in 0..<8 {
                    var bad = frame
                    bad[index] ^= 1 << bit
                    // The source address; in IPv6 the traffic class and the flow label, which
                    // begin in the version's byte.
                    let isIgnored =
                        (6..<12).contains(index)
                        || isIPv6 && (index == 14 && bit < 4 || (15..<18).contains(index))
                    #expect((parse(bad) == nil) != isIgnored, "byte \(index), bit \(bit)")
                }
            }
        }
    }

    @Test("may go without a UDP checksum over IPv4, and over IPv6 not")
    func zeroChecksum() {
        for (source, field) in zip(Self.sources, [40, 60]) {
            var frame = build(source)
            frame[field] = 0
            frame[field + 1] = 0
            let isProbe = parse(frame) == Self.control
            #expect(isProbe == (field == 40))
        }
    }

    @Test("comes from a port that a BFD session may use")
    func sourcePort() {
        let address = IPAddress.v4(IPv4Address(192, 0, 2, 1))
        let low = build(address, sourcePort: 49151)
        let high = build(address, sourcePort: 65535)
        #expect(parse(low) == nil)
        #expect(parse(high) == Self.control)
    }

    @Test(
        "carries a BFD packet that passes the checks of RFC 5880 section 6.8.6",
        arguments: [
            ("20c003180000000100000002", true, "up"),
            ("204003180000000100000000", true, "down knows no discriminator"),
            ("200003180000000100000000", true, "nor does admin down"),
            ("200003190000000100000000", false, "longer than the datagram"),
            ("004003180000000100000000", false, "version 0"),
            ("404003180000000100000000", false, "version 2"),
            ("204003170000000100000000", false, "23 bytes"),
            ("204000180000000100000000", false, "a detect multiplier of zero"),
            ("204103180000000100000000", false, "multipoint"),
            ("204003180000000000000000", false, "no discriminator"),
            ("208003180000000100000000", false, "init must know ours"),
            ("20c003180000000100000000", false, "up must know ours"),
            ("204403180000000100000000", false, "authenticated in 24 bytes"),
        ])
    func receptionChecks(start: String, isAccepted: Bool, reason: String) {
        let packet = Hex.bytes(start) + [UInt8](repeating: 0, count: 12)
        #expect((read(packet) != nil) == isAccepted, "\(reason)")
        for byteCount in 0..<24 {
            let cut = Array(packet.prefix(byteCount))
            #expect(read(cut) == nil)
        }
    }

    @Test("says when its BFD packet is authenticated")
    func authenticated() throws {
        let packet = Hex.bytes("2044031a0000000100000000") + [UInt8](repeating: 0, count: 14)
        let control = try #require(read(packet))
        #expect(control.isAuthenticated)
    }

    @Test("carries every field there and back")
    func roundTrip() throws {
        var random = SeededRandom(seed: 5880)
        for _ in 0..<200 {
            var control = Self.control
            control.diagnostic = UInt8.random(in: 0...31, using: &random)
            control.state = try #require(
                BFDControl.State(rawValue: UInt8.random(in: 0...3, using: &random)))
            control.isPoll = Bool.random(using: &random)
            control.isFinal = Bool.random(using: &random)
            control.detectMultiplier = UInt8.random(in: 1...255, using: &random)
            control.myDiscriminator = UInt32.random(in: 1...UInt32.max, using: &random)
            control.yourDiscriminator = UInt32.random(in: 1...UInt32.max, using: &random)
            control.desiredMinimumTransmitInterval = UInt32.random(
                in: 0...UInt32.max, using: &random)
            control.requiredMinimumReceiveInterval = UInt32.random(
                in: 0...UInt32.max, using: &random)
            control.requiredMinimumEchoReceiveInterval = UInt32.random(
                in: 0...UInt32.max, using: &random)
            let frame = build(Self.sources[0], control)
            #expect(parse(frame) == control)
        }
    }

    private static let sources: [IPAddress] = [
        .v4(IPv4Address(192, 0, 2, 1)), .v6(IPv6Address(high: 0x2001_0DB8_0000_0000, low: 1)),
    ]

    private func parse(_ frame: [UInt8]) -> BFDControl? { OverlayProbe.parse(frame.span.bytes) }

    private func read(_ packet: [UInt8]) -> BFDControl? { BFDControl(packet.span.bytes) }

    private func build(
        _ source: IPAddress, _ control: BFDControl = control, sourcePort: UInt16 = 49152
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: OverlayProbe.maximumByteCount + 1)
        let byteCount = bytes.withUnsafeMutableBytes {
            OverlayProbe.build(
                control, fromMAC: MACAddress(rawValue: 0x0200_0000_0001), source: source,
                sourcePort: sourcePort, to: $0.baseAddress!)
        }
        #expect(bytes[byteCount] == 0xEE)
        return Array(bytes.prefix(byteCount))
    }
}
