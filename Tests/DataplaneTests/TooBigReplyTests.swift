import Dataplane
import TestSupport
import Testing
import Wire

@Suite("The reply to a packet that is too big")
struct TooBigReplyTests {
    @Test("is this frame for IPv4")
    func goldenIPv4() throws {
        let frame = FrameBuilder().ipv4(identification: 7).udp(payload: [1, 2, 3])
        let answer = try #require(reply(frame, mtu: 1450))
        #expect(
            answer
                == Hex.bytes(
                    """
                    020000000001 020000000002 0800           // swapped
                    45c0 003b 0000 4000 4001 2600 0a000002 0a000001     // swapped; 59 bytes
                    03 04 0b71 0000 05aa                     // fragmentation needed, 1450 fits
                    4500 001f 0007 4000 4011 26c5 0a000001 0a000002     // the packet as it was
                    03e8 07d0 000b dc1b 010203
                    """))
    }

    @Test("is this frame for IPv6")
    func goldenIPv6() throws {
        let frame = FrameBuilder().ipv6().udp(payload: [1, 2, 3])
        let answer = try #require(reply(frame, mtu: 1430))
        #expect(
            answer
                == Hex.bytes(
                    """
                    020000000001 020000000002 86dd                      // swapped
                    6000 0000 003b 3a 40                                // 59 bytes of ICMPv6
                    20010db8000000000000000000000002                    // swapped
                    20010db8000000000000000000000001
                    02 00 2b50 00000596                                 // too big, 1430
                    6000 0000 000b 11 40
                    20010db8000000000000000000000001
                    20010db8000000000000000000000002
                    03e8 07d0 000b 94a9 010203
                    """))
    }

    @Test("quotes as much as it may, of a super-frame too, and verifies")
    func quotes() throws {
        var random = SeededRandom(seed: 1191)
        for byteCount in [0, 1, 507, 508, 519, 520, 521, 1183, 1184, 1185, 1500, 9000, 65_000] {
            let payload = random.bytes(byteCount)
            let ipv4 = FrameBuilder().ipv4().tcp(payload: payload, isPartial: true)
            let short = try #require(reply(ipv4, mtu: 1450))
            #expect(short.count == 14 + min(576, 28 + ipv4.count - 14))
            #expect(Array(short[42...]) == Array(ipv4[14...].prefix(548)))
            #expect(sum(short[14..<34]) == 0)
            #expect(sum(short[34...]) == 0)
            let ipv6 = FrameBuilder().ipv6().tcp(payload: payload, isPartial: true)
            let long = try #require(reply(ipv6, mtu: 1430))
            #expect(long.count == 14 + min(1280, 48 + ipv6.count - 14))
            #expect(Array(long[62...]) == Array(ipv6[14...].prefix(1232)))
            let pseudo = Array(long[22..<54]) + UInt32(long.count - 54).octets + [0, 0, 0, 58]
            #expect(sum(pseudo + long[54...]) == 0)
        }
    }

    @Test("says no MTU that a field or a host cannot take")
    func mtu() throws {
        let ipv4 = try #require(reply(FrameBuilder().ipv4().udp(), mtu: 70_000))
        #expect(Array(ipv4[38..<42]) == [0, 0, 0xFF, 0xFF])
        let ipv6 = try #require(reply(FrameBuilder().ipv6().udp(), mtu: 1000))
        #expect(Array(ipv6[58..<62]) == [0, 0, 5, 0])
    }

    @Test(
        "is not made where it must not be",
        arguments: [
            (0, 0x01, "to a group address"),
            (6, 0x01, "from a group address"),
            (12, 0x80, "not IP"),
            (14, 0x10, "version 5"),
            (14, 0x01, "a header that is too short"),
            (20, 0x40, "without DF"),
            (21, 0x01, "a later fragment"),
            (26, 0xEA, "from a multicast address"),
            (26, 0xFA, "from class E"),
            (26, 0x0A, "from this network"),
            (26, 0x75, "from loopback"),
            (30, 0xEA, "to a multicast address"),
            (30, 0xFA, "to the broadcast address"),
            (30, 0x0A, "to this network"),
            (30, 0x75, "to loopback"),
        ])
    func silence(offset: Int, bits: UInt8, reason: String) {
        var frame = FrameBuilder().ipv4().udp()
        #expect(reply(frame, mtu: 1000) != nil)
        // A header of 16 bytes, not of 24.
        frame[offset] = offset == 14 && bits == 1 ? 0x44 : frame[offset] ^ bits
        #expect(reply(frame, mtu: 1000) == nil, "\(reason)")
    }

    @Test("is made for the first fragment of a packet with DF, if there is such a thing")
    func firstFragment() {
        var frame = FrameBuilder().ipv4().udp()
        frame[20] = 0x60
        #expect(reply(frame, mtu: 1000) != nil)
    }

    @Test("is not made for an ICMP error, and is for a query")
    func icmp() {
        for type in UInt8.min...UInt8.max {
            var frame = FrameBuilder().ipv4().icmpEcho()
            frame[34] = type
            let isQuery = [0, 8, 9, 10, 13, 14, 15, 16, 17, 18].contains(type)
            #expect((reply(frame, mtu: 1000) != nil) == isQuery, "type \(type)")
            frame = FrameBuilder().ipv6().icmpEcho()
            frame[54] = type
            let isAnswered = type >= 128 && type != 137
            #expect((reply(frame, mtu: 1300) != nil) == isAnswered, "ICMPv6 type \(type)")
        }
        let options: [(IPProtocol, [UInt8])] = [(.destinationOptions, [0, 0, 1, 4, 0, 0, 0, 0])]
        var hidden = FrameBuilder().ipv6(extensions: options).icmpEcho()
        #expect(reply(hidden, mtu: 1300) != nil)
        hidden[62] = 1
        #expect(reply(hidden, mtu: 1300) == nil)
    }

    @Test(
        "is not made over IPv6 where it must not be",
        arguments: [
            (IPv6Address(high: 0, low: 0), IPv6Address(high: 1, low: 2), "from nobody"),
            (IPv6Address(high: 0, low: 1), IPv6Address(high: 1, low: 2), "from loopback"),
            (IPv6Address(high: 0xFF02 << 48, low: 1), IPv6Address(high: 1, low: 2), "from a group"),
            (IPv6Address(high: 1, low: 2), IPv6Address(high: 0xFF02 << 48, low: 1), "to a group"),
            (IPv6Address(high: 1, low: 2), IPv6Address(high: 0, low: 1), "to loopback"),
        ])
    func silenceIPv6(source: IPv6Address, destination: IPv6Address, reason: String) {
        let frame = FrameBuilder().ipv6(from: source, to: destination).udp()
        #expect(reply(frame, mtu: 1300) == nil, "\(reason)")
    }

    @Test("is not made for a later fragment over IPv6, nor for a chain that does not end")
    func fragmentsIPv6() {
        func frame(_ fragment: [UInt8]) -> [UInt8] {
            FrameBuilder().ipv6(extensions: [(.fragment, fragment)]).udp()
        }
        #expect(reply(frame([0, 0, 0, 1, 0, 0, 0, 1]), mtu: 1300) != nil)
        #expect(reply(frame([0, 0, 0, 9, 0, 0, 0, 1]), mtu: 1300) == nil)
        var endless = frame([0, 0, 0, 1, 0, 0, 0, 1])
        endless[20] = 0
        endless[55] = 255
        #expect(reply(endless, mtu: 1300) == nil)
    }

    @Test("reads nothing behind the end, wherever that is")
    func truncated() {
        let frames = [FrameBuilder().ipv4().udp(), FrameBuilder().ipv6().udp()]
        for (frame, header) in zip(frames, [34, 54]) {
            for byteCount in 0..<frame.count {
                let isAnswered = reply(Array(frame.prefix(byteCount)), mtu: 1300) != nil
                #expect(isAnswered == (byteCount >= header), "\(byteCount) bytes")
            }
        }
    }

    @Test("is given a burst at once and a rate in the long run")
    func limiter() {
        var limiter = ReplyLimiter(perSecond: 100, burst: 50)
        var now: UInt64 = 5_000_000_000
        func admitted(_ count: Int) -> Int {
            (0..<count).reduce(0) { sum, _ in sum + (limiter.admit(at: now) ? 1 : 0) }
        }
        #expect(admitted(1000) == 50)
        now += 9_999_999
        #expect(admitted(1000) == 0)
        now += 1
        #expect(admitted(1000) == 1)
        now += 100_000_000
        #expect(admitted(1000) == 10)
        now += 3_600_000_000_000
        #expect(admitted(1000) == 50)
        var total = 0
        for _ in 0..<1000 {
            now += 1_000_000
            total += admitted(3)
        }
        #expect((99...101).contains(total))
    }

    private func reply(_ frame: [UInt8], mtu: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0xEE, count: TooBigReply.maximumByteCount + 1)
        let outcome = frame.withUnsafeBytes { frame in
            bytes.withUnsafeMutableBytes { TooBigReply.build(for: frame, mtu: mtu, into: $0) }
        }
        #expect(bytes[TooBigReply.maximumByteCount] == 0xEE)
        switch outcome {
        case .reply(let byteCount): return Array(bytes.prefix(byteCount))
        case .noReply: return nil
        }
    }

    private func sum(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var sum = InternetChecksum()
        Array(bytes).withUnsafeBytes { sum.add($0) }
        return sum.value
    }
}
