/// Names of networks, ports and namespaces.
package enum Name {
    package static let byteLimit = 63
    /// As the JSON Schema says it.
    package static let pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"

    package static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= byteLimit, isAlphanumeric(first)
        else { return false }
        return name.utf8.allSatisfy(isLetter)
    }

    /// Whether it may be in a name.
    static func isLetter(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: "-")
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }
}
