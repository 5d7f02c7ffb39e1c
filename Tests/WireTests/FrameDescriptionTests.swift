import TestSupport
import Testing
import Wire

@Suite("A frame in words")
struct FrameDescriptionTests {
    @Test(
        "fits one line",
        arguments: [
            (
                FrameBuilder(to: .broadcast).tagged(10, priority: 5).arpRequest(),
                "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, vlan 10 pcp 5, "
                    + "ARP who has 10.0.0.2 tell 10.0.0.1, 46 bytes"
            ),
            (
                FrameBuilder().arpReply(),
                "02:00:00:00:00:01 > 02:00:00:00:00:02, ARP 10.0.0.2 is at 02:00:00:00:00:01, "
                    + "42 bytes"
            ),
            (
                FrameBuilder().ipv4().tcp(flags: [.syn]),
                "02:00:00:00:00:01 > 02:00:00:00:00:02, IPv4 10.0.0.1 > 10.0.0.2, "
                    + "TCP 1000 > 2000 SYN, 54 bytes"
            ),
            (
                FrameBuilder().ipv6().icmpEcho(sequence: 3),
                "02:00:00:00:00:01 > 02:00:00:00:00:02, IPv6 2001:db8::1 > 2001:db8::2, "
                    + "ICMPv6 echo request seq 3, 62 bytes"
            ),
            (
                FrameBuilder().frame(EtherType(rawValue: 0x88B5), [1, 2]),
                "02:00:00:00:00:01 > 02:00:00:00:00:02, 0x88b5, 16 bytes"
            ),
            ([1, 2, 3], "truncated Ethernet header, 3 bytes"),
            (
                FrameBuilder().frame(.customerTag, [0]),
                "02:00:00:00:00:01 > 02:00:00:00:00:02, truncated VLAN tag, 15 bytes"
            ),
            (
                FrameBuilder().frame(.ipv4, [0x45]),
                "02:00:00:00:00:01 > 02:00:00:00:00:02, malformed IPv4 header, 15 bytes"
            ),
        ])
    func summary(frame: [UInt8], expected: String) {
        let summary = FrameDescription(frame.span.bytes).summary
        #expect(summary == expected)
    }

    @Test("or one line a header")
    func lines() {
        var frame = FrameBuilder().ipv4(identification: 7).udp(payload: [1, 2, 3])
        frame[24] ^= 0xFF
        let lines = FrameDescription(frame.span.bytes).lines
        #expect(
            lines.first
                == "Ethernet  destination 02:00:00:00:00:02  source 02:00:00:00:00:01  "
                + "type 0x0800 IPv4")
        #expect(lines.count == 3)
        #expect(lines[1].contains("error wrong header checksum"))
        #expect(lines[2].hasPrefix("UDP       source 1000  destination 2000  length 11"))
    }

    @Test("is found for every malformed frame")
    func malformed() {
        var random = SeededRandom(seed: 8)
        let frames = [
            FrameBuilder().tagged(1).arpRequest(),
            FrameBuilder().ipv4(options: [1, 1, 1, 1]).tcp(options: [1, 1, 1, 0], payload: [1]),
            FrameBuilder().ipv6(extensions: [(.hopByHop, [0, 0, 0, 0, 0, 0, 0, 0])]).udp(),
            FrameBuilder().ipv4().icmpEcho(payload: [1, 2, 3]),
        ]
        for frame in frames {
            for byteCount in 0...frame.count {
                let summary = FrameDescription(Array(frame.prefix(byteCount)).span.bytes).summary
                #expect(summary.hasSuffix(" \(byteCount) bytes"))
            }
            for _ in 0..<300 {
                var mutant = frame
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    mutant[mutant.indices.randomElement(using: &random) ?? 0] =
                        UInt8.random(in: 0...255, using: &random)
                }
                let lines = FrameDescription(mutant.span.bytes).lines
                #expect(!lines.isEmpty)
            }
        }
    }
}
