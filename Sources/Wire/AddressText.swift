// What the textual forms of the address types share.

/// The value of an ASCII hexadecimal digit.
func hexDigitValue(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
    default: nil
    }
}

/// Appends `value` as at least `digitCount` lower-case hexadecimal digits.
func appendHex(_ value: some BinaryInteger, digitCount: Int, to text: inout String) {
    let digits = String(value, radix: 16)
    for _ in 0..<max(0, digitCount - digits.utf8.count) { text.append("0") }
    text.append(digits)
}

/// `value` as `0x` and at least `digitCount` hexadecimal digits.
func hexText(_ value: some BinaryInteger, digitCount: Int) -> String {
    var text = "0x"
    appendHex(value, digitCount: digitCount, to: &text)
    return text
}

/// Reads an unsigned decimal number: digits only, no sign, no superfluous leading zero (which
/// other readers take for octal), at most `limit`.
func decimalValue(_ text: Substring.UTF8View, limit: Int) -> Int? {
    guard let first = text.first, text.count <= 10 else { return nil }
    guard first != UInt8(ascii: "0") || text.count == 1 else { return nil }
    var value = 0
    for character in text {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(character) else { return nil }
        value = value * 10 + Int(character - UInt8(ascii: "0"))
    }
    return value <= limit ? value : nil
}

/// Decodes a single string value.
func decodeText<Value: LosslessStringConvertible>(
    from decoder: any Decoder, expecting expectation: String
) throws -> Value {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Value(text) else {
        throw DecodingError.dataCorruptedError(
            in: container, debugDescription: "'\(text)' is not \(expectation)")
    }
    return value
}
