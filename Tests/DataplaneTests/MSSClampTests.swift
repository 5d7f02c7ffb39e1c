import Dataplane
import TestSupport
import Testing
import Wire

@Suite("The TCP MSS clamp")
struct MSSClampTests {
    @Test("lowers this option and completes the checksum")
    func golden() {
        let frame = FrameBuilder().ipv4().tcp(flags: .syn, options: [2, 4, 5, 0xB4, 1, 3, 3, 7])
        let (clamped, isChanged) = clamp(frame, 1450)
        #expect(isChanged)
        #expect(
            clamped
                == Hex.bytes(
                    """
                    020000000002 020000000001 0800
                    4500 0030 0000 4000 4006 26c6 0a000001 0a000002
                    03e8 07d0 10000000 00000000
                    7002 ffff 5490 0000
                    0204 0582               // 1410 = 1450 - 40; was 1460
                    01 030307
                    """))
    }

    @Test(
        "changes what is larger and nothing else",
        arguments: [
            ("ipv4", 0x02, "020405b4", 1450, 1410, "a SYN"),
            ("ipv4", 0x12, "020405b4", 1450, 1410, "a SYN with ACK"),
            ("ipv4", 0xC2, "020405b4", 1450, 1410, "a SYN that asks for ECN"),
            ("ipv6", 0x02, "020405a0", 1450, 1390, "over IPv6"),
            ("ipv4", 0x02, "01020405b4010101", 1450, 1410, "at an odd offset"),
            ("ipv4", 0x02, "010101030307020405b4" + "0101", 1450, 1410, "behind others"),
            ("ipv4", 0x02, "02040583" + "020405b4", 1450, 1410, "only the first counts"),
            ("ipv4", 0x02, "0204ffff", 65535, 65495, "the largest there is"),
            ("ipv4", 0x02, "02040582", 1450, nil, "it fits exactly"),
            ("ipv4", 0x02, "02040218", 1450, nil, "it is small"),
            ("ipv4", 0x10, "020405b4", 1450, nil, "no SYN"),
            ("ipv4", 0x02, "", 1450, nil, "no option"),
            ("ipv4", 0x02, "01010101", 1450, nil, "another option"),
            ("ipv4", 0x02, "00000000020405b4", 1450, nil, "behind the end of options"),
            ("ipv4", 0x02, "020305b4", 1450, nil, "too short to be one"),
            ("ipv4", 0x02, "020605b400000000", 1450, nil, "too long to be one"),
            ("ipv4", 0x02, "010102040000" + "0000", 1450, nil, "a size of zero"),
            ("ipv4", 0x02, "01010102", 1450, nil, "cut behind its kind"),
            ("ipv4", 0x02, "01010204", 1450, nil, "cut behind its length"),
            ("ipv4", 0x02, "03000000020405b4", 1450, nil, "behind one without a length"),
            ("ipv4", 0x02, "030f0000020405b4", 1450, nil, "behind one that is too long"),
            ("ipv4", 0x02, "020405b4", 40, nil, "a limit without room for a byte"),
        ])
    func options(
        kind: String, flags: UInt8, options: String, mtu: Int, expected: Int?, reason: String
    ) {
        let builder = kind == "ipv4" ? FrameBuilder().ipv4() : FrameBuilder().ipv6()
        let bytes = Hex.bytes(options)
        func frame(_ options: [UInt8]) -> [UInt8] {
            builder.tcp(flags: TCPFlags(rawValue: flags), options: options, payload: [1, 2, 3])
        }
        let (clamped, isChanged) = clamp(frame(bytes), mtu)
        #expect(isChanged == (expected != nil), "\(reason)")
        guard let expected else {
            #expect(clamped == frame(bytes), "\(reason)")
            return
        }
        // As if the sender had written it, the checksum included.
        let place = (0..<bytes.count - 3).first { bytes[$0] == 2 && bytes[$0 + 1] == 4 } ?? 0
        var wanted = bytes
        wanted.replaceSubrange(place + 2..<place + 4, with: UInt16(expected).octets)
        #expect(clamped == frame(wanted), "\(reason)")
    }

    @Test("leaves a checksum alone that somebody else completes")
    func partial() {
        let options: [UInt8] = [2, 4, 5, 0xB4]
        let frame = FrameBuilder().ipv4().tcp(flags: .syn, options: options, isPartial: true)
        let offload = Offload(flags: 1, checksumStart: 34, checksumOffset: 16)
        let (clamped, isChanged) = clamp(frame, 1450, offload)
        #expect(isChanged)
        let wanted = FrameBuilder().ipv4().tcp(
            flags: .syn, options: [2, 4, 5, 0x82], isPartial: true)
        #expect(clamped == wanted)
    }

    @Test("reads nothing behind the end, wherever that is")
    func truncated() {
        let options: [UInt8] = [1, 2, 4, 5, 0xB4, 1, 1, 1]
        let frames = [
            FrameBuilder().ipv4().tcp(flags: .syn, options: options),
            FrameBuilder().ipv4(options: [1, 1, 1, 1]).tcp(flags: .syn, options: options),
            FrameBuilder().ipv6().tcp(flags: .syn, options: options),
        ]
        for frame in frames {
            #expect(clamp(frame, 1000).1)
            for byteCount in 0..<frame.count {
                let cut = Array(frame.prefix(byteCount))
                let (clamped, isChanged) = clamp(cut, 1000)
                #expect(!isChanged && clamped == cut, "\(byteCount) bytes")
            }
        }
    }

    @Test("leaves alone what is not TCP, or not its start")
    func others() {
        var fragment = FrameBuilder().ipv4().tcp(flags: .syn, options: [2, 4, 5, 0xB4])
        fragment[21] = 1
        let frames = [
            fragment, FrameBuilder().arpRequest() + [UInt8](repeating: 2, count: 60),
            FrameBuilder().ipv4().udp(payload: [UInt8](repeating: 2, count: 60)),
            FrameBuilder().ipv6().udp(payload: [UInt8](repeating: 2, count: 60)),
            FrameBuilder().tagged(7).ipv4().tcp(flags: .syn, options: [2, 4, 5, 0xB4]),
        ]
        for frame in frames {
            let (clamped, isChanged) = clamp(frame, 1000)
            #expect(!isChanged && clamped == frame)
        }
    }

    private func clamp(
        _ frame: [UInt8], _ mtu: Int, _ offload: Offload = .none
    ) -> ([UInt8], Bool) {
        var frame = frame
        let isChanged = frame.withUnsafeMutableBytes {
            MSSClamp.apply(to: $0, offload: offload, maximumPacketByteCount: mtu)
        }
        return (frame, isChanged)
    }
}
