/// A seeded source of randomness: the same seed always makes the same captures.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Nothing, or a number of any size.
    mutating func number() -> UInt64? {
        Bool.random(using: &self) ? next() >> UInt64.random(in: 0..<64, using: &self) : nil
    }

    /// Nothing, or text of up to 40 characters of any plane but NUL.
    mutating func text() -> String? {
        guard Bool.random(using: &self) else { return nil }
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...40, using: &self) {
            let range: ClosedRange<UInt32> = Bool.random(using: &self) ? 1...0x7F : 1...0x10FFFF
            if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &self)) {
                text.append(scalar)
            }
        }
        return String(text)
    }
}

/// The octets of hexadecimal digits; white space is for the reader.
func octets(_ lines: String...) -> [UInt8] {
    let digits = lines.joined().compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
}
