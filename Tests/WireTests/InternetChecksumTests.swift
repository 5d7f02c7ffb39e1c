import TestSupport
import Testing
import Wire

@Suite("The Internet checksum")
struct InternetChecksumTests {
    @Test("of RFC 1071's example")
    func example() {
        // Section 3: the words 0001, f203, f4f5 and f6f7 sum to ddf2.
        let bytes = Hex.bytes("00 01 f2 03 f4 f5 f6 f7")
        #expect(sum(bytes).folded == 0xDDF2)
        #expect(sum(bytes).value == 0x220D)
    }

    @Test("of a known IPv4 header")
    func header() {
        let header = Hex.bytes("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7")
        #expect(sum(header).value == 0)
        var blank = header
        blank[10] = 0
        blank[11] = 0
        #expect(sum(blank).value == 0xB861)
    }

    @Test("agrees with adding word by word, whatever the length and alignment")
    func reference() {
        var random = SeededRandom(seed: 1071)
        for _ in 0..<2000 {
            let bytes = random.bytes(Int.random(in: 0...300, using: &random))
            #expect(sum(bytes).value == slowChecksum(bytes))
        }
        // All ones is where carries are lost if they are.
        for byteCount in [1, 8, 31, 32, 33, 40, 64, 1500, 65536] {
            let bytes = [UInt8](repeating: 0xFF, count: byteCount)
            #expect(sum(bytes).value == slowChecksum(bytes), "\(byteCount) bytes of ff")
        }
    }

    @Test("can be taken in even pieces and started from a seed")
    func pieces() {
        var random = SeededRandom(seed: 7)
        for _ in 0..<500 {
            let bytes = random.bytes(Int.random(in: 2...200, using: &random))
            let cut = Int.random(in: 0...bytes.count / 2, using: &random) * 2
            var pieces = InternetChecksum(seed: sum(Array(bytes[..<cut])).folded)
            Array(bytes[cut...]).withUnsafeBytes { pieces.add($0) }
            #expect(pieces.value == sum(bytes).value)
        }
    }

    @Test("can be updated for one changed word (RFC 1624)")
    func update() {
        // Section 4: the checksum of the example is 0 after the update, not ffff.
        #expect(InternetChecksum.updating(0xDD2F, replacing: 0x5555, with: 0x3285) == 0)
        var random = SeededRandom(seed: 1624)
        for _ in 0..<500 {
            var bytes = random.bytes(40)
            let before = sum(bytes).value
            let old = UInt16(bytes[8]) << 8 | UInt16(bytes[9])
            let new = UInt16.random(in: 0...UInt16.max, using: &random)
            bytes.replaceSubrange(8..<10, with: new.octets)
            #expect(
                InternetChecksum.updating(before, replacing: old, with: new) == sum(bytes).value)
        }
    }

    @Test("can be taken while copying, whatever the length and alignment")
    func copying() {
        var random = SeededRandom(seed: 9000)
        let sizes = Array(0...140) + [1448, 1499, 65_483]
        for byteCount in sizes {
            let bytes = random.bytes(byteCount)
            let seed = UInt16.random(in: 0...UInt16.max, using: &random)
            var expected = InternetChecksum(seed: seed)
            bytes.withUnsafeBytes { expected.add($0) }
            for shift in 0..<3 {
                var target = [UInt8](repeating: 0xEE, count: byteCount + 8)
                var sum = InternetChecksum(seed: seed)
                let source = [UInt8](repeating: 0xAA, count: 2 * shift) + bytes
                source.withUnsafeBytes { source in
                    target.withUnsafeMutableBytes { target in
                        sum.addCopying(
                            from: source.baseAddress! + 2 * shift, to: target.baseAddress! + shift,
                            byteCount: byteCount)
                    }
                }
                #expect(sum.value == expected.value, "\(byteCount) bytes")
                let surrounding = [UInt8](repeating: 0xEE, count: shift)
                let rest = [UInt8](repeating: 0xEE, count: 8 - shift)
                #expect(target == surrounding + bytes + rest, "\(byteCount) bytes")
            }
        }
    }

    private func sum(_ bytes: [UInt8]) -> InternetChecksum {
        // One byte in, so that no word is aligned.
        let shifted = [0xAA] + bytes
        var sum = InternetChecksum()
        shifted.withUnsafeBytes { sum.add(UnsafeRawBufferPointer(rebasing: $0[1...])) }
        return sum
    }

    private func slowChecksum(_ bytes: [UInt8]) -> UInt16 {
        var total: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            total += index.isMultiple(of: 2) ? UInt64(byte) << 8 : UInt64(byte)
        }
        while total > 0xFFFF { total = (total & 0xFFFF) + (total >> 16) }
        return ~UInt16(total)
    }
}
