import TestSupport
import Testing

@testable import Capture

@Suite("The pcapng writer")
struct PcapngWriterTests {
    @Test("writes a section header byte for byte as the draft says")
    func section() {
        var output: [UInt8] = []
        PcapngWriter.append(
            PcapngSection(hardware: "x86_64", application: "heddle 1"), to: &output)
        #expect(
            output
                == octets(
                    "0a0d0d0a 38000000",  // block type, total length 56
                    "4d3c2b1a 0100 0000",  // byte-order magic, version 1.0
                    "ffffffffffffffff",  // section length not known
                    "0200 0600 7838365f3634 0000",  // shb_hardware "x86_64", padded
                    "0400 0800 686564646c652031",  // shb_userappl "heddle 1"
                    "0000 0000",  // opt_endofopt
                    "38000000"))
    }

    @Test("writes an interface description byte for byte as the draft says")
    func interface() {
        var output: [UInt8] = []
        PcapngWriter.append(
            PcapngInterface(
                name: "web-1", description: "tap", macAddress: 0x0200_0000_0a01,
                speed: 10_000_000_000, snapLength: 262_144, filter: "arp"),
            to: &output)
        #expect(
            output
                == octets(
                    "01000000 54000000",  // block type, total length 84
                    "0100 0000 00000400",  // LINKTYPE_ETHERNET, reserved, snap length
                    "0200 0500 7765622d31 000000",  // if_name "web-1"
                    "0300 0300 746170 00",  // if_description "tap"
                    "0600 0600 020000000a01 0000",  // if_MACaddr, first octet first
                    "0800 0800 00e40b5402000000",  // if_speed 10 Gbit/s
                    "0900 0100 09 000000",  // if_tsresol 10^-9
                    "0b00 0400 00617270",  // if_filter: kind 0, "arp"
                    "0000 0000",  // opt_endofopt
                    "54000000"))
    }

    @Test("writes a packet byte for byte as the draft says")
    func packet() {
        let packet = PcapngPacket(
            interfaceID: 3, timestampNanoseconds: 0x1122_3344_5566_7788, originalByteCount: 1500,
            packetID: 7,
            remarks: PcapngRemarks(
                direction: .egress, comment: "é!", dropCount: 258, verdict: .xdp(1)))
        #expect(
            encode(packet, [0xde, 0xad, 0xbe, 0xef, 0x01])
                == octets(
                    "06000000 64000000",  // block type, total length 100
                    "03000000 44332211 88776655",  // interface, time: upper half, lower half
                    "05000000 dc050000",  // captured 5 of 1500
                    "deadbeef01 000000",  // frame, padded
                    "0100 0300 c3a921 00",  // opt_comment in UTF-8
                    "0200 0400 02000000",  // epb_flags: outbound
                    "0400 0800 0201000000000000",  // epb_dropcount
                    "0700 0900 02 0100000000000000 000000",  // epb_verdict: XDP_DROP
                    "0500 0800 0700000000000000",  // epb_packetid
                    "0000 0000",  // opt_endofopt
                    "64000000"))
    }

    @Test("writes no option list when a packet has no options")
    func barePacket() {
        let packet = PcapngPacket(
            interfaceID: 0, timestampNanoseconds: 1, originalByteCount: 4)
        #expect(
            encode(packet, [1, 2, 3, 4])
                == octets(
                    "06000000 24000000", "00000000 00000000 01000000", "04000000 04000000",
                    "01020304", "24000000"))
    }

    @Test("writes interface statistics byte for byte as the draft says")
    func statistics() {
        var output: [UInt8] = []
        PcapngWriter.append(
            PcapngStatistics(
                interfaceID: 1, timestampNanoseconds: 0x2_0000_0001,
                startNanoseconds: 0x1_0000_0002, endNanoseconds: 0x2_0000_0001, received: 10,
                dropped: 1, accepted: 8, delivered: 7),
            to: &output)
        #expect(
            output
                == octets(
                    "05000000 64000000", "01000000 02000000 01000000",
                    "0200 0800 01000000 02000000",  // isb_starttime
                    "0300 0800 02000000 01000000",  // isb_endtime
                    "0400 0800 0a00000000000000",  // isb_ifrecv
                    "0500 0800 0100000000000000",  // isb_ifdrop
                    "0600 0800 0800000000000000",  // isb_filteraccept
                    "0800 0800 0700000000000000",  // isb_usrdeliv
                    "0000 0000", "64000000"))
    }

    @Test("writes names byte for byte as the draft says, and no block without names")
    func names() {
        var output: [UInt8] = []
        PcapngWriter.append([], to: &output)
        PcapngWriter.append([PcapngName(.ipv4(1), names: ["", "\0"])], to: &output)
        #expect(output.isEmpty)
        PcapngWriter.append(
            [
                PcapngName(.ipv4(0xc000_0201), names: ["a", "bc"]),
                PcapngName(.mac(0x0200_0000_0001), names: ["web-1"]),
            ], to: &output)
        #expect(
            output
                == octets(
                    "04000000 30000000",
                    "0100 0900 c0000201 6100 626300 000000",  // 192.0.2.1: "a", "bc"
                    "0300 0c00 020000000001 7765622d3100",  // EUI-48: "web-1"
                    "0000 0000", "30000000"))
    }

    @Test("cuts what the format cannot hold, and the block still parses")
    func limits() throws {
        let comment = String(repeating: "é", count: 40_000)  // 80,000 octets
        var file = sectionAndInterface()
        let frame = [UInt8](repeating: 7, count: 300_000)
        file += encode(
            PcapngPacket(
                interfaceID: 0, timestampNanoseconds: 1, originalByteCount: 300_000,
                remarks: PcapngRemarks(
                    comment: comment, verdict: .hardware(.init(repeating: 1, count: 70_000)))),
            frame)
        let packet = try PcapngParser.parse(file).packets[0]
        #expect(packet.comments[0].utf8.count == 65_534)  // whole characters only
        #expect(comment.hasPrefix(packet.comments[0]))
        #expect(packet.bytes.count == 262_144)
        #expect(packet.originalByteCount == 300_000)
        #expect(packet.verdict?.count == 65_535)
    }

    @Test("leaves NUL characters out, at which readers would end the text")
    func nulCharacters() throws {
        var file = sectionAndInterface()
        file += encode(
            PcapngPacket(
                interfaceID: 0, timestampNanoseconds: 1, originalByteCount: 0,
                remarks: PcapngRemarks(comment: "before\0after")), [])
        #expect(try PcapngParser.parse(file).packets[0].comments == ["beforeafter"])
    }

    @Test("whatever it writes parses back as it was given", arguments: 0..<20 as Range<UInt64>)
    func random(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var output: [UInt8] = []
        let section = PcapngSection(
            hardware: random.text(), operatingSystem: random.text(), application: random.text(),
            comment: random.text())
        PcapngWriter.append(section, to: &output)
        let interfaces = (0..<Int.random(in: 1...5, using: &random)).map { _ in
            PcapngInterface(
                name: random.text() ?? "", description: random.text(),
                macAddress: random.number().map { $0 >> 16 }, speed: random.number(),
                filter: random.text())
        }
        for interface in interfaces { PcapngWriter.append(interface, to: &output) }
        typealias Said = (direction: CaptureDirection?, comment: String?, dropCount: UInt64?)
        var expected: [(PcapngPacket, Said, [UInt8])] = []
        for _ in 0..<200 {
            let byteCount = Int.random(in: 0...200, using: &random)
            let bytes = (0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &random) }
            let said: Said = (
                [nil, .ingress, .egress].randomElement(using: &random)!, random.text(),
                random.number()
            )
            let packet = PcapngPacket(
                interfaceID: UInt32.random(in: 0..<UInt32(interfaces.count), using: &random),
                timestampNanoseconds: random.next(),
                originalByteCount: UInt32.random(in: UInt32(bytes.count)...(.max), using: &random),
                packetID: random.number(),
                remarks: PcapngRemarks(
                    direction: said.direction, comment: said.comment, dropCount: said.dropCount))
            output += encode(packet, bytes)
            expected.append((packet, said, bytes))
        }

        let file = try PcapngParser.parse(output)
        #expect(file.hardware == section.hardware)
        #expect(file.operatingSystem == section.operatingSystem)
        #expect(file.application == section.application)
        #expect(file.comment == section.comment)
        #expect(file.interfaces.map(\.name) == interfaces.map(\.name))
        #expect(file.interfaces.map(\.description) == interfaces.map(\.description))
        #expect(file.interfaces.map(\.filter) == interfaces.map(\.filter))
        #expect(file.interfaces.map(\.speed) == interfaces.map(\.speed))
        try #require(file.packets.count == expected.count)
        for (read, (packet, said, bytes)) in zip(file.packets, expected) {
            #expect(read.interfaceID == Int(packet.interfaceID))
            #expect(read.timestampNanoseconds == packet.timestampNanoseconds)
            #expect(read.originalByteCount == Int(packet.originalByteCount))
            #expect(read.bytes == bytes)
            #expect(read.direction.rawValue == UInt32(said.direction?.rawValue ?? 0))
            #expect(read.comments == [said.comment].compactMap { $0 })
            #expect(read.packetID == packet.packetID)
            #expect(read.dropCount == said.dropCount)
        }
    }

    @Test("every broken byte of the frame around a block is noticed by the parser")
    func parserIsStrict() throws {
        var file = sectionAndInterface()
        let start = file.count
        file += encode(
            PcapngPacket(
                interfaceID: 0, timestampNanoseconds: 1, originalByteCount: 5,
                remarks: PcapngRemarks(direction: .ingress)), [1, 2, 3, 4, 5])
        _ = try PcapngParser.parse(file)
        // Type, both lengths, interface, captured length, padding, option code, length and value.
        let structural = [0, 4, 8, 20, 33, 34, 35, 36, 38, 40, 44, file.count - start - 4]
        for offset in structural {
            var broken = file
            broken[start + offset] ^= 0x41
            #expect(throws: PcapngParseError.self, "byte \(offset)") {
                try PcapngParser.parse(broken)
            }
        }
        for byteCount in 1..<file.count where byteCount != start {
            let isBlockBoundary = (try? PcapngParser.parse(Array(file[..<byteCount]))) != nil
            #expect(!isBlockBoundary || byteCount == sectionByteCount, "cut at \(byteCount)")
        }
    }
}

/// A section without options: 12 bytes around a block, 16 in it.
private let sectionByteCount = 28

private func sectionAndInterface() -> [UInt8] {
    var output: [UInt8] = []
    PcapngWriter.append(PcapngSection(), to: &output)
    PcapngWriter.append(PcapngInterface(name: "p"), to: &output)
    return output
}

private func encode(_ packet: PcapngPacket, _ bytes: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    bytes.withUnsafeBytes { PcapngWriter.append(packet, bytes: $0, to: &output) }
    return output
}
