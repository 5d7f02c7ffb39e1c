import TestSupport
import Testing
import Wire

@Suite("Overlay headers")
struct OverlayHeaderTests {
    @Test(
        "read VXLAN",
        arguments: [
            ("08000000 00002a00", "42"),  // as RFC 7348 section 5 draws it
            ("08000000 ffffff00", "16777215"),  // all of 24 bits
            ("ffffffff 000001ff", "1"),  // reserved bits are ignored on receipt
            ("00000000 00002a00", nil),  // without the I flag there is no VNI
            ("f7000000 00002a00", nil),  // every flag but I
        ])
    func vxlan(hex: String, expected: String?) {
        let bytes = Hex.bytes(hex + "aabb")
        #expect(vxlanFields(bytes) == expected.map { "\($0) +2" })
        for byteCount in 0..<8 { #expect(vxlanFields(Array(bytes.prefix(byteCount))) == nil) }
    }

    @Test("write VXLAN and nothing behind it")
    func writeVXLAN() {
        #expect(written { VXLANView.write(vni: 42, to: $0) } == "0800000000002a00ee")
        #expect(written { VXLANView.write(vni: 0xFF_FFFF, to: $0) } == "08000000ffffff00ee")
    }

    @Test(
        "read Geneve",
        arguments: [
            ("0000 6558 00002a00", "42 TEB 8 data known"),  // no options
            ("003f 6558 00002a3f", "42 TEB 8 data known"),  // reserved bits are ignored
            ("0000 0800 00002a00", "42 IPv4 8 data known"),  // not Ethernet
            ("0080 6558 00002a00", "42 TEB 8 control known"),  // the O bit
            ("0040 6558 00002a00", "42 TEB 8 data critical"),  // the C bit says it all
            ("0100 6558 00002a00 0104 01 00", "42 TEB 12 data known"),  // empty option
            ("0200 6558 00002a00 0104 01 01 cafe0001", "42 TEB 16 data known"),  // four bytes
            ("0200 6558 00002a00 0104 01 e1 cafe0001", "42 TEB 16 data known"),  // its R bits
            ("0100 6558 00002a00 0104 81 00", "42 TEB 12 data critical"),  // in the option
            ("0300 6558 00002a00 010401 01 cafe0001 0104ff00", "42 TEB 20 data critical"),  // 2nd
            ("4000 6558 00002a00", nil),  // version 1
            ("0100 6558 00002a00", nil),  // option missing
            ("0200 6558 00002a00 0104 01 00", nil),  // second option missing
            ("0100 6558 00002a00 0104 01 01", nil),  // option longer than the options
            ("0200 6558 00002a00 0104 01 02 cafe0001", nil),  // by one word
        ])
    func geneve(hex: String, expected: String?) {
        // Read as the whole header: what is left of a longer option must not be looked for behind.
        let header = Hex.bytes(hex)
        #expect(geneveFields(header) == expected.map { "\($0) +0" })
        for byteCount in 0..<header.count {
            #expect(geneveFields(Array(header.prefix(byteCount))) == nil, "\(byteCount) bytes")
        }
    }

    @Test("do not let a Geneve option reach into the frame")
    func geneveOptionLength() {
        // One word of options, whose one option claims a word of data: there is one, but it is the
        // inner frame's.
        #expect(geneveFields(Hex.bytes("0100 6558 00002a00 0104 01 01 cafe0001")) == nil)
        // The longest header there is: 63 words of options.
        let option = Hex.bytes("0104 01 1f") + [UInt8](repeating: 0, count: 124)
        let short = Hex.bytes("0104 01 1e") + [UInt8](repeating: 0, count: 120)
        let longest = Hex.bytes("3f00 6558 00002a00") + option + short + [1]
        #expect(geneveFields(longest) == "42 TEB 260 data known +1")
        #expect(geneveFields(longest.dropLast(2)) == nil)
    }

    @Test("write Geneve and nothing behind it")
    func writeGeneve() {
        #expect(written { GeneveView.write(vni: 42, to: $0) } == "0000655800002a00ee")
        #expect(
            written { GeneveView.write(vni: 1, isControl: true, to: $0) } == "0080655800000100ee")
    }

    @Test(
        "read GRE",
        arguments: [
            ("0000 6558", "TEB 4 key - sequence - true"),  // bare
            ("2000 6558 0000002a", "TEB 8 key 42 sequence - true"),  // key
            ("1000 6558 00000007", "TEB 8 key - sequence 7 true"),  // sequence number
            ("3000 6558 0000002a 00000007", "TEB 12 key 42 sequence 7 true"),  // both
            ("8000 6558 1aa7 0000", "TEB 8 key - sequence - true"),  // checksum
            ("8000 6558 1aa8 0000", "TEB 8 key - sequence - false"),  // wrong checksum
            ("b000 6558 ea75 0000 0000002a 00000007", "TEB 16 key 42 sequence 7 true"),  // all
            ("20f8 6558 0000002a", "TEB 8 key 42 sequence - true"),  // bits 8 to 12 are ignored
            ("2300 6558 0000002a", "TEB 8 key 42 sequence - true"),  // bits 6 and 7 as well
            ("2000 0800 0000002a", "IPv4 8 key 42 sequence - true"),  // not Ethernet
            ("4000 6558", nil),  // routing (RFC 1701)
            ("0800 6558", nil),  // strict source route
            ("0400 6558", nil),  // recursion control
            ("0001 6558", nil),  // PPTP's version
        ])
    func gre(hex: String, expected: String?) {
        let header = Hex.bytes(hex)
        #expect(greFields(header) == expected.map { "\($0) +0" })
        for byteCount in 0..<header.count {
            #expect(greFields(Array(header.prefix(byteCount))) == nil, "\(byteCount) bytes")
        }
    }

    @Test("take a GRE checksum over the whole packet, odd or even")
    func greChecksum() {
        var random = SeededRandom(seed: 2784)
        for byteCount in 0..<70 {
            var packet = Hex.bytes("a000 6558 0000 0000 0000002a") + random.bytes(byteCount)
            var sum = InternetChecksum()
            packet.withUnsafeBytes { sum.add($0) }
            packet.replaceSubrange(4..<6, with: sum.value.octets)
            let fields = greFields(packet)
            #expect(fields == "TEB 12 key 42 sequence - true +\(byteCount)")
            packet[packet.count - 1] ^= 0x10
            let corrupted = greFields(packet)
            #expect(corrupted?.contains("false") == true)
        }
    }

    @Test(
        "tell NVGRE from GRE",
        arguments: [
            ("2000 6558 001234 ab", "4660 171 true"),  // as RFC 7637 section 3.2 draws it
            ("2000 0800 001234 ab", "4660 171 false"),  // only Ethernet frames
            ("3000 6558 001234 ab 00000000", "4660 171 false"),  // no sequence number
            ("a000 6558 0000 0000 001234 ab", "4660 171 false"),  // no checksum
            ("0000 6558", "nil nil false"),  // the key is what it is about
        ])
    func nvgre(hex: String, expected: String) {
        let bytes = Hex.bytes(hex)
        guard let view = GREView(bytes.span.bytes) else {
            Issue.record("does not parse")
            return
        }
        let network = view.virtualSubnetID.map(String.init) ?? "nil"
        let read = "\(network) \(view.flowID.map(String.init) ?? "nil") \(view.isNVGRE)"
        #expect(read == expected)
    }

    @Test("write GRE and NVGRE and nothing behind them")
    func writeGRE() {
        #expect(written { GREView.write(key: 0xFFFF_FFFF, to: $0) } == "20006558ffffffffee")
        let nvgre = written { GREView.write(virtualSubnetID: 0x1234, flowID: 0xAB, to: $0) }
        #expect(nvgre == "20006558001234abee")
    }

    /// Eight bytes that `write` writes, and the one behind them, in hexadecimal.
    private func written(_ write: (UnsafeMutableRawPointer) -> Void) -> String {
        var bytes = [UInt8](repeating: 0xEE, count: 9)
        bytes.withUnsafeMutableBytes { write($0.baseAddress!) }
        return Hex.text(bytes).filter { $0 != " " }
    }

    private func vxlanFields(_ bytes: [UInt8]) -> String? {
        guard let view = VXLANView(bytes.span.bytes) else { return nil }
        return "\(view.vni) +\(view.payload.byteCount)"
    }

    private func geneveFields(_ bytes: [UInt8]) -> String? {
        guard let view = GeneveView(bytes.span.bytes) else { return nil }
        return
            "\(view.vni) \(view.protocolType) \(view.headerByteCount) "
            + (view.isControl ? "control " : "data ")
            + (view.hasUnknownCriticalOption ? "critical" : "known")
            + " +\(view.payload.byteCount)"
    }

    private func greFields(_ bytes: [UInt8]) -> String? {
        guard let view = GREView(bytes.span.bytes) else { return nil }
        let key = view.key.map(String.init) ?? "-"
        let sequence = view.sequenceNumber.map(String.init) ?? "-"
        return
            "\(view.protocolType) \(view.headerByteCount) key \(key) sequence \(sequence) "
            + "\(view.verifyChecksum()) +\(view.payload.byteCount)"
    }
}
