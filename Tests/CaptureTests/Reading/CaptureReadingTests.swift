import Foundation
import TestSupport
import Testing

@testable import Capture

@Suite("Reading capture files")
struct CaptureReadingTests {
    // MARK: pcapng

    /// One section with one Ethernet interface named 'w1', stamps in nanoseconds.
    static let head = """
        0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000  # section, little-endian
        01000000 28000000 0100 0000 00000000  # interface: Ethernet, no snap length
        0200 0200 77310000  # if_name 'w1'
        0900 0100 09000000  # if_tsresol 10^-9
        0000 0000 28000000
        """

    @Test("an enhanced packet gives interface, direction, stamp, comment, packet ID and length")
    func enhanced() throws {
        let file = try SeenFile(
            of: Hex.bytes(
                Self.head + """

                    06000000 4c000000 00000000  # enhanced packet of interface 0
                    01000000 02000000 05000000 40000000  # stamp 2^32 + 2, 5 of 64 bytes
                    0102030405 000000
                    0200 0400 01000000  # inbound
                    0500 0800 0700000000000000  # packet ID 7
                    0100 0500 6869206974 000000  # comment 'hi it'
                    0000 0000 4c000000
                    """))
        #expect(
            file.frames == [
                SeenFrame(
                    1, "w1", .ingress, 0x1_0000_0002, [1, 2, 3, 4, 5], original: 64,
                    comment: "hi it", packetID: 7)
            ])
        #expect(file.cutOff == nil)
    }

    @Test("the other byte order, and sections of both orders, are read")
    func byteOrders() throws {
        let big = """
            0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c  # big-endian
            00000001 00000020 0001 0000 00000000 0002 0002 77320000 0000 0000 00000020  # 'w2'
            00000006 0000002c 00000000 00000000 00000005  # 5 microseconds
            00000001 00000001 aa000000 0002 0004 00000002 0000002c  # outbound
            """
        let file = try SeenFile(
            of: Hex.bytes(
                Self.head + "\n" + big + """

                    0a0d0d0a 1c000000 4d3c2b1a 0100 0200 ffffffffffffffff 1c000000  # minor 2
                    01000000 14000000 0100 0000 00000000 14000000  # an interface without a name
                    06000000 24000000 00000000 00000000 01000000 01000000 01000000 bb000000 24000000
                    """))
        #expect(
            file.frames == [
                SeenFrame(1, "w2", .egress, 5_000, [0xAA]),
                SeenFrame(2, nil, nil, 1_000, [0xBB]),
            ])
        #expect(file.interfaces.map(\.name) == ["w1", "w2", nil])
    }

    @Test("simple and obsolete packets are read, all other blocks are passed over")
    func otherBlocks() throws {
        let file = try SeenFile(
            of: Hex.bytes(
                Self.head + """

                    04000000 10000000 00000000 10000000  # name resolution: empty
                    05000000 18000000 00000000 00000000 00000000 18000000  # statistics
                    ad0b0000 0c000000 0c000000  # a custom block
                    03000000 14000000 03000000 01020300 14000000  # simple packet, 3 bytes
                    02000000 2c000000 0000 ffff 00000000 09000000 01000000 01000000  # obsolete
                    cc000000 0200 0400 02000000 2c000000
                    """))
        #expect(
            file.frames == [
                SeenFrame(1, "w1", nil, nil, [1, 2, 3]),
                SeenFrame(2, "w1", .egress, 9, [0xCC]),
            ])
    }

    static let clocks: [(resolution: UInt8, offset: Int64, units: UInt64, nanoseconds: UInt64)] = [
        (9, 0, 1_700_000_000_000_000_001, 1_700_000_000_000_000_001),
        (6, 0, 7, 7_000),
        (0, 0, 3, 3_000_000_000),
        (12, 0, 5_000, 5),  // finer than is kept
        (0x80 | 10, 0, 1_536, 1_500_000_000),  // a power of two
        (0x80 | 63, 0, 1 << 62, 500_000_000),
        (0x80, 0, 2, 2_000_000_000),  // 2^0
        (9, 10, 5, 10_000_000_005),
        (9, -1, 1_000_000_003, 3),
        (9, -1, 7, 0),  // before 1970
        (0, 0, .max, .max),  // beyond what fits
        (6, .max, .max, .max),
        (9, .min, 5, 0),
        (127, 0, .max, 0),
        (0xFF, 0, .max, 0),
    ]

    @Test("stamps honour resolution and offset, whatever they are", arguments: clocks)
    func clock(_ resolution: UInt8, _ offset: Int64, _ units: UInt64, _ expected: UInt64) {
        let clock = CaptureClock(resolution: resolution, offset: offset)
        #expect(clock.nanoseconds(units) == expected)
    }

    @Test("a frame check sequence is taken off")
    func checkSequence() throws {
        let file = try SeenFile(
            of: Hex.bytes(
                Self.head + """

                    06000000 34000000 00000000 00000000 00000000 06000000 08000000  # 6 of 8 bytes
                    010203040506 0000 0200 0400 81000000 00000000 34000000  # inbound, FCS of 4
                    """))
        #expect(
            file.frames == [SeenFrame(1, "w1", .ingress, 0, [1, 2, 3, 4], original: 4)])
    }

    // MARK: pcap

    static let forms: [(String, UInt64)] = [
        ("d4c3b2a1 02000400 00000000 00000000 00000400 01000000 01000000 02000000", 1_000_002_000),
        ("4d3cb2a1 02000400 00000000 00000000 00000400 01000000 01000000 02000000", 1_000_000_002),
        ("a1b2c3d4 00020004 00000000 00000000 00040000 00000001 00000001 00000002", 1_000_002_000),
        ("a1b23c4d 00020004 00000000 00000000 00040000 00000001 00000001 00000002", 1_000_000_002),
    ]

    @Test("pcap is read in all of its four forms", arguments: forms)
    func classic(_ head: String, _ stamp: UInt64) throws {
        let isBig = head.hasPrefix("a")
        let lengths = isBig ? "00000002 00000009" : "02000000 09000000"
        let file = try SeenFile(of: Hex.bytes(head + lengths + "abcd"))
        #expect(file.frames == [SeenFrame(1, nil, nil, stamp, [0xAB, 0xCD], original: 9)])
    }

    // MARK: Hostile files

    static let hostile: [(String, UInt64, String)] = [
        ("", 0, "the file is empty"),
        ("0a0d", 0, "neither pcapng nor pcap"),
        ("1f8b0800 00000000", 0, "gunzip"),
        ("28b52ffd 00000000", 0, "unzstd"),
        ("0a0d0d0a 1c000000 00112233 01000000 ffffffffffffffff 1c000000", 0, "no byte order"),
        ("0a0d0d0a 1c000000 4d3c2b1a 02000000 ffffffffffffffff 1c000000", 0, "version 2.0"),
        ("0a0d0d0a 0c000000 4d3c2b1a", 0, "12 bytes at its start and"),  // lies about its end
        ("0a0d0d0a 10000000 4d3c2b1a 10000000", 0, "cannot be 16 bytes"),
        ("0a0d0d0a 0b000000 4d3c2b1a", 0, "cannot be 11 bytes"),
        (head + "06000000 00000000 00000000", 68, "cannot be 0 bytes"),
        (head + "06000000 21000000 00000000", 68, "cannot be 33 bytes"),  // no multiple of four
        (head + "06000000 fcffffff 00000000", 68, "more than the 16777216"),
        (head + "01000000 10000000 01000000 10000000", 68, "cannot be 16 bytes"),
        (head + "06000000 10000000 00000000 10000000", 68, "cannot be 16 bytes"),
        (head + "03000000 0c000000 0c000000", 68, "cannot be 12 bytes"),
        (
            head + "06000000 20000000 05000000 0000000000000000 00000000 00000000 20000000", 68,
            "interface 5"
        ),
        (
            head + "06000000 20000000 00000000 0000000000000000 01000000 01000000 20000000", 68,
            "claims 1 bytes where its block has room for 0"
        ),
        (
            head + "06000000 20000000 00000000 0000000000000000 ffffffff 01000000 20000000", 68,
            "claims 4294967295 bytes"
        ),
        (
            head + "06000000 24000000 00000000 0000000000000000 00000000 00000000"
                + "01000500 24000000", 68, "option 1 claims 5 bytes where its block has room for 0"
        ),
        (
            head
                + "06000000 28000000 00000000 0000000000000000 00000000 00000000 02000200 01000000"
                + "28000000", 68, "epb_flags is 2 bytes long instead of 4"
        ),
        (
            head + "01000000 18000000 01000000 00000000 0900 0000 18000000", 68,
            "if_tsresol is 0 bytes long instead of 1"
        ),
        (
            // An interface of the loopback type: no trouble until it has a frame.
            head + "01000000 1c000000 00000000 00000000 0200 0200 6c6f0000 1c000000"
                + "06000000 20000000 01000000 0000000000000000 00000000 00000000 20000000", 96,
            "interface 'lo' holds frames of link type NULL"
        ),
        (head + "0a0d0d0a 1c000000 4d3c2b1a 01000100 ffffffffffffffff 1c000000", 68, "1.1"),
        ("d4c3b2a1 02000300 00000000 00000000 00000400 01000000", 0, "pcap version 2.3"),
        (
            "d4c3b2a1 02000400 00000000 00000000 00000400 65000000"
                + "00000000 00000000 00000000 00000000", 24, "RAW"
        ),
        (
            "d4c3b2a1 02000400 00000000 00000000 00000400 01000000"
                + "00000000 00000000 ffffff7f ffffff7f", 24, "claims 2147483647 bytes"
        ),
    ]

    @Test("what is wrong is said with its place, and nothing crashes", arguments: hostile)
    func hostileFile(_ hex: String, _ offset: UInt64, _ text: String) throws {
        let error = #expect(throws: CaptureFileError.self) { try SeenFile(of: Hex.bytes(hex)) }
        #expect("\(try #require(error))".contains("byte \(offset): "), "\(error!)")
        #expect("\(try #require(error))".contains(text), "\(error!)")
    }

    @Test("a file that ends anywhere gives its whole blocks and then one note")
    func cutOff() throws {
        let block =
            "06000000 24000000 00000000 00000000 01000000 01000000 01000000 bb000000 24000000"
        let whole = Hex.bytes(Self.head + "\n" + block + block)
        for byteCount in 4..<whole.count {
            let file = try SeenFile(of: Array(whole.prefix(byteCount)))
            #expect(file.frames.count == (byteCount < 68 + 36 ? 0 : 1), "\(byteCount) bytes")
            let ends = [28, 68, 104]
            #expect((file.cutOff == nil) == ends.contains(byteCount), "\(byteCount) bytes")
            if let cutOff = file.cutOff {
                #expect(cutOff.offset + UInt64(cutOff.presentByteCount) == UInt64(byteCount))
                #expect("\(cutOff)".contains("interrupted"))
            }
        }
    }

    @Test("a block larger than the first buffer is read, and memory follows what is there")
    func largeBlock() throws {
        var bytes = Hex.bytes(Self.head)
        let frame = [UInt8](repeating: 7, count: 3 << 20)
        let byteCount = UInt32(frame.count + 32)
        bytes.appendLittleEndian(UInt32(6))
        bytes.appendLittleEndian(byteCount)
        for value in [0, 0, 9, UInt32(frame.count), UInt32(frame.count)] {
            bytes.appendLittleEndian(value)
        }
        bytes += frame
        bytes.appendLittleEndian(byteCount)
        bytes += bytes[68...]
        let file = try SeenFile(of: bytes)
        #expect(file.frames.map(\.bytes.count) == [3 << 20, 3 << 20])
        // One that only claims to be large is a cut-off file, and costs nothing.
        let liar = Hex.bytes(Self.head + "06000000 fcffff00 00000000 00000000")
        #expect(try SeenFile(of: liar).cutOff?.neededByteCount == 0xFF_FFFC)
    }

    @Test("damaged files never crash", arguments: 0..<40)
    func damaged(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let block =
            "06000000 2c000000 00000000 00000000 01000000 01000000 01000000 bb000000"
            + "0200 0400 01000000 2c000000"
        let whole = Hex.bytes(Self.head + "\n" + block + block + block)
        for _ in 0..<50 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 4..<bytes.count, using: &random)] =
                    UInt8.random(in: 0...255, using: &random)
            }
            let frames = try? SeenFile(of: bytes).frames
            #expect((frames?.count ?? 0) <= 3)
        }
    }
}
