/// Golden frames: hexadecimal with room for explanation.
package enum Hex {
    /// Reads bytes from text in which white space means nothing and `//` or `#` starts a comment
    /// that ends with the line. Traps on anything else: a golden frame with a typo is a bug.
    package static func bytes(_ text: String) -> [UInt8] {
        var digits: [UInt8] = []
        for line in text.split(whereSeparator: \.isNewline) {
            var previous: Character?
            for character in line {
                if character == "#" { break }
                if character == "/" {
                    if previous == "/" { break }
                    previous = character
                    continue
                }
                previous = character
                if character.isWhitespace { continue }
                guard let digit = character.hexDigitValue else {
                    preconditionFailure("'\(character)' is not a hexadecimal digit: \(line)")
                }
                digits.append(UInt8(digit))
            }
        }
        precondition(digits.count.isMultiple(of: 2), "an odd number of hexadecimal digits")
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// Two digits a byte, a space after each and a new line after each sixteen.
    package static func text(_ bytes: [UInt8]) -> String {
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if index > 0 { text += index.isMultiple(of: 16) ? "\n" : " " }
            text += byte < 16 ? "0" : ""
            text += String(byte, radix: 16)
        }
        return text
    }
}
