/// A 64-bit FNV-1a hash of all that must be equal in both languages.
struct CoreDigest {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ byte: UInt8) {
        value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }

    /// Eight bytes, the least significant first.
    mutating func add(_ word: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) {
            add(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
        }
    }

    mutating func add(_ bytes: UnsafeMutableRawPointer, byteCount: Int) {
        for place in 0..<byteCount { add(bytes.load(fromByteOffset: place, as: UInt8.self)) }
    }

    /// Sixteen hexadecimal digits.
    var text: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
