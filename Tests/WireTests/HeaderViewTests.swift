import TestSupport
import Testing
import Wire

// A view cannot leave its scope, and `#expect` would take it along; so the tests copy the fields
// out of a view before they look at them.

@Suite("Header views")
struct HeaderViewTests {
    @Test("read an untagged Ethernet header")
    func untagged() {
        let frame = Hex.bytes(
            """
            02 00 00 00 00 02   // destination
            02 00 00 00 00 01   // source
            08 06               // ARP
            """)
        let read = ethernetFields(frame)
        #expect(
            read == [
                "02:00:00:00:00:02", "02:00:00:00:00:01", "ARP", "ARP", "untagged", "14+0", "whole",
            ])
    }

    @Test(
        "read a tag, and only when all of it is there",
        arguments: [
            (4, ["802.1Q", "ARP", "vlan 10 pcp 5", "18+0", "whole"]),  // exactly the header
            (6, ["802.1Q", "ARP", "vlan 10 pcp 5", "18+2", "whole"]),  // two bytes behind it
            (3, ["802.1Q", "802.1Q", "untagged", "14+3", "truncated"]),  // type is cut
            (0, ["802.1Q", "802.1Q", "untagged", "14+0", "truncated"]),  // nothing but the TPID
        ])
    func tagged(extra: Int, expected: [String]) {
        let frame = Hex.bytes(
            """
            02 00 00 00 00 02   // destination
            02 00 00 00 00 01   // source
            81 00               // C-TAG
            a0 0a 08 06 00 00   // PCP 5, VID 10, ARP
            """)
        let read = ethernetFields(Array(frame.prefix(14 + extra)))
        #expect(Array(read.dropFirst(2)) == expected)
    }

    @Test("refuse a frame shorter than an Ethernet header", arguments: 0..<14)
    func short(byteCount: Int) {
        #expect(ethernetFields(Array(repeating: 0xFF, count: byteCount)) == [])
    }

    @Test("leave a second tag to the second look")
    func doubleTagged() {
        let frame = FrameBuilder().tagged(100, tpid: .serviceTag).tagged(10).arpRequest()
        let read = ethernetFields(frame)
        #expect(read[3] == "802.1Q")
        #expect(read[4] == "vlan 100 tpid 0x88a8")
        #expect(read[5] == "18+32")
    }

    @Test("read IPv4 and UDP")
    func ipv4() throws {
        let packet = Hex.bytes(
            """
            46 b8 00 22         // version 4, 24 bytes of header, DSCP 46, length 34
            12 34 20 03         // id, more fragments, offset 24
            40 11 00 00         // TTL 64, UDP, no checksum
            0a 00 00 01         // source
            0a 00 00 02         // destination
            94 04 00 00         // router alert
            03 e8 07 d0 00 0a 00 00 aa bb   // UDP 1000 > 2000
            ff ff ff            // Ethernet padding
            """)
        guard let view = IPv4View(packet.span.bytes), let udp = UDPView(view.payload) else {
            Issue.record("does not parse")
            return
        }
        let read = [
            "\(view.source) \(view.destination) \(view.transportProtocol)",
            "\(view.trafficClass) \(view.identification) \(view.timeToLive)",
            "\(view.hasMoreFragments) \(view.fragmentOffset) \(view.isFragmentationForbidden)",
            "\(view.headerByteCount) \(view.totalByteCount) \(view.payload.byteCount)",
            "\(view.isTruncated) \(view.hasValidHeaderChecksum)",
            "\(udp.sourcePort) \(udp.destinationPort) \(udp.payload.byteCount)",
        ]
        #expect(
            read == [
                "10.0.0.1 10.0.0.2 UDP", "184 4660 64", "true 24 false", "24 34 10", "false false",
                "1000 2000 2",
            ])
    }

    @Test(
        "refuse an IPv4 header that is not there",
        arguments: [
            ("", "nothing"),
            ("45", "one byte"),
            ("45 00 00 14 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00", "19 bytes"),
            ("65 00 00 14 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02", "version 6"),
            ("44 00 00 14 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02", "16-byte header"),
            ("46 00 00 14 00 00 00 00 40 11 00 00 0a 00 00 01 0a 00 00 02", "options missing"),
        ])
    func malformedIPv4(hex: String, reason: String) {
        let bytes = Hex.bytes(hex)
        let isRefused = IPv4View(bytes.span.bytes) == nil
        #expect(isRefused, "\(reason)")
    }

    @Test(
        "walk IPv6 extension headers as far as they go",
        arguments: [
            ("", IPProtocol.udp, 40, "false false false"),  // none
            ("0:11 00 0000 0000 0000", .udp, 48, "false false false"),  // hop-by-hop
            ("43:11 00 0000 0000 0000", .udp, 48, "false false true"),  // routing
            ("60:11 01 00000000000000000000 0000 0000", .udp, 56, "false false false"),  // 16 bytes
            ("51:11 01 0000 0000 0000 0000 0000", .udp, 52, "false false false"),  // AH
            ("44:11 00 0001 0000 0001", .udp, 48, "true false false"),  // first fragment
            ("44:11 00 0008 0000 0001", .udp, 48, "true true false"),  // later fragment
        ])
    func extensionHeaders(
        text: String, transportProtocol: IPProtocol, offset: Int, flags: String
    ) throws {
        let parts = text.split(separator: ":")
        var extensions: [(IPProtocol, [UInt8])] = []
        if parts.count == 2 {
            extensions = [
                (IPProtocol(rawValue: UInt8(parts[0]) ?? 0), Hex.bytes(String(parts[1])))
            ]
        }
        let frame = FrameBuilder().ipv6(extensions: extensions).udp(payload: [1, 2])
        let transport = try #require(ipv6Transport(frame.dropFirst(14)))
        #expect(transport.transportProtocol == transportProtocol)
        #expect(transport.offset == offset)
        let read =
            "\(transport.isFragment) \(transport.isLaterFragment) \(transport.hasRoutingHeader)"
        #expect(read == flags)
    }

    @Test("give up on IPv6 extension headers without end")
    func endlessExtensionHeaders() {
        let extension8 = (IPProtocol.destinationOptions, [UInt8](repeating: 0, count: 8))
        let eight = FrameBuilder().ipv6(extensions: Array(repeating: extension8, count: 8)).udp()
        let nine = FrameBuilder().ipv6(extensions: Array(repeating: extension8, count: 9)).udp()
        #expect(ipv6Transport(eight.dropFirst(14)) != nil)
        #expect(ipv6Transport(nine.dropFirst(14)) == nil)
        var beyond = FrameBuilder().ipv6(extensions: [extension8]).udp()
        beyond[14 + 41] = 255
        #expect(ipv6Transport(beyond.dropFirst(14)) == nil)
    }

    @Test("read TCP, its options and its flags")
    func tcp() {
        let frame = FrameBuilder().ipv6().tcp(
            from: 80, to: 40000, sequence: 7, acknowledgment: 9, flags: [.syn, .ack],
            options: [2, 4, 5, 0xB4], payload: [1])
        let tcp = Array(frame.dropFirst(54))
        guard let view = TCPView(tcp.span.bytes) else {
            Issue.record("does not parse")
            return
        }
        let read =
            "\(view.sourcePort) \(view.destinationPort) \(view.sequenceNumber) "
            + "\(view.acknowledgmentNumber) \(view.flags) \(view.headerByteCount) "
            + "\(view.payload.byteCount)"
        #expect(read == "80 40000 7 9 SYN,ACK 24 1")
        for (offset, cut) in [(UInt8(0x40), 25), (0xF0, 25), (0x60, 23), (0x50, 19)] {
            var bytes = Array(tcp.prefix(cut))
            bytes[12] = offset
            let isRefused = TCPView(bytes.span.bytes) == nil
            #expect(isRefused, "data offset \(offset >> 4) in \(cut) bytes")
        }
    }

    @Test("read ARP for IPv4 over Ethernet and nothing else")
    func arp() {
        var packet = Array(FrameBuilder().arpRequest().dropFirst(14))
        let read = arpFields(packet)
        #expect(read == "1 02:00:00:00:00:01 10.0.0.1 00:00:00:00:00:00 10.0.0.2")
        packet[4] = 8
        #expect(arpFields(packet) == nil)
    }

    /// Every field of an Ethernet view as text; empty when there is none.
    private func ethernetFields(_ frame: [UInt8]) -> [String] {
        guard let view = EthernetView(frame.span.bytes) else { return [] }
        return [
            "\(view.destination)", "\(view.source)", "\(view.outerType)", "\(view.etherType)",
            view.tag?.description ?? "untagged",
            "\(view.headerByteCount)+\(view.payload.byteCount)",
            view.isTruncated ? "truncated" : "whole",
        ]
    }

    private func arpFields(_ packet: [UInt8]) -> String? {
        guard let arp = ARPView(packet.span.bytes) else { return nil }
        return "\(arp.operation) \(arp.senderMAC) \(arp.senderIP) \(arp.targetMAC) \(arp.targetIP)"
    }

    private func ipv6Transport(_ packet: ArraySlice<UInt8>) -> IPv6View.Transport? {
        let bytes = Array(packet)
        guard let view = IPv6View(bytes.span.bytes) else { return nil }
        return view.transport()
    }
}
