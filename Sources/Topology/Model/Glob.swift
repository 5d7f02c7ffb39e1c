/// Patterns of names: `*` stands for any text, also none, and `?` for any one character (a Unicode
/// scalar); everything else stands for itself, in this case. The whole text has to match.
///
/// Matching goes through both from left to right. At a mismatch only the last `*` is given one more
/// character: what an earlier one could take besides, the last one can take as well. So there is no
/// recursion and no table, and the cost is at most pattern × text whatever they are; with one `*`
/// it is their sum.
package enum Glob {
    /// The kernel's aliases have up to 255 bytes (IFALIASZ), its alternative names 127.
    static let byteLimit = 255

    static func isSign(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "*") || byte == UInt8(ascii: "?")
    }

    package static func matches(_ text: String, _ pattern: String) -> Bool {
        let (text, pattern) = (text.unicodeScalars, pattern.unicodeScalars)
        var place = text.startIndex
        var part = pattern.startIndex
        /// Behind the last `*`, and where what it takes ends.
        var retry: (part: String.Index, place: String.Index)?
        while place < text.endIndex {
            if part < pattern.endIndex, pattern[part] == "*" {
                part = pattern.index(after: part)
                retry = (part, place)
            } else if part < pattern.endIndex, pattern[part] == "?" || pattern[part] == text[place]
            {
                part = pattern.index(after: part)
                place = text.index(after: place)
            } else if let last = retry {
                let next = text.index(after: last.place)
                (part, place) = (last.part, next)
                retry = (part, place)
            } else {
                return false
            }
        }
        return pattern[part...].allSatisfy { $0 == "*" }
    }
}
