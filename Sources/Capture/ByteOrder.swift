// File formats are written byte by byte in a stated order, whatever the machine's own order is.
extension [UInt8] {
    mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    /// Appends a pcapng timestamp: its upper 32 bits, then its lower.
    mutating func appendTimestamp(_ units: UInt64) {
        appendLittleEndian(UInt32(truncatingIfNeeded: units >> 32))
        appendLittleEndian(UInt32(truncatingIfNeeded: units))
    }

    /// Appends the six octets of the low 48 bits, the first octet most significant.
    mutating func appendMACAddress(_ value: UInt64) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0[2...]) }
    }

    /// Appends zeros up to the next multiple of four after a value of `byteCount` bytes.
    mutating func padToFour(after byteCount: Int) {
        for _ in 0..<((4 - byteCount % 4) % 4) { append(0) }
    }

    /// Appends words, each in little-endian order, in one piece.
    mutating func append<let count: Int>(words: InlineArray<count, UInt32>) {
        var words = words
        for index in 0..<count { words[index] = words[index].littleEndian }
        words.span.withUnsafeBytes { append(contentsOf: $0) }
    }
}
