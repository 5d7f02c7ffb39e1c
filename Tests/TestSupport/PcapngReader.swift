/// A cursor over pcapng bytes that checks every length before it reads.
struct PcapngReader {
    private let bytes: ArraySlice<UInt8>
    /// The next byte's place in the file.
    private(set) var offset: Int

    init(bytes: [UInt8]) {
        self.init(slice: bytes[...])
    }

    private init(slice: ArraySlice<UInt8>) {
        bytes = slice
        offset = slice.startIndex
    }

    var remaining: Int { bytes.endIndex - offset }

    func require(_ condition: Bool, _ problem: String) throws(PcapngParseError) {
        if !condition { throw PcapngParseError(offset: offset, problem: problem) }
    }

    mutating func slice(_ byteCount: Int) throws(PcapngParseError) -> PcapngReader {
        try require(byteCount <= remaining, "\(byteCount) bytes wanted, \(remaining) left")
        defer { offset += byteCount }
        return PcapngReader(slice: bytes[offset..<offset + byteCount])
    }

    mutating func octets(_ byteCount: Int) throws(PcapngParseError) -> [UInt8] {
        Array(try slice(byteCount).bytes)
    }

    /// Reads bytes and the zeros that fill them up to a multiple of four.
    mutating func padded(_ byteCount: Int) throws(PcapngParseError) -> [UInt8] {
        let value = try octets(byteCount)
        let padding = try octets((4 - byteCount % 4) % 4)
        try require(padding.allSatisfy { $0 == 0 }, "padding is not zero")
        return value
    }

    mutating func number<Value: FixedWidthInteger>(
        _ type: Value.Type
    ) throws(PcapngParseError) -> Value {
        var value: Value = 0
        for octet in try octets(Value.bitWidth / 8).reversed() { value = value << 8 | Value(octet) }
        return value
    }

    /// Reads the upper, then the lower 32 bits.
    mutating func timestamp() throws(PcapngParseError) -> UInt64 {
        let high = UInt64(try number(UInt32.self))
        return high << 32 | UInt64(try number(UInt32.self))
    }

    /// Reads options up to the end of the block; a list that is not empty must be ended.
    mutating func options() throws(PcapngParseError) -> [PcapngOption] {
        var options: [PcapngOption] = []
        while remaining > 0 {
            let start = offset
            let code = try number(UInt16.self)
            let byteCount = Int(try number(UInt16.self))
            if code == 0 {
                try require(byteCount == 0, "opt_endofopt has a length")
                try require(!options.isEmpty, "opt_endofopt without an option")
                return options
            }
            options.append(
                PcapngOption(code: code, value: try padded(byteCount), offset: start))
        }
        try require(options.isEmpty, "options are not ended")
        return options
    }
}

/// One option of a block.
struct PcapngOption {
    let code: UInt16
    let value: [UInt8]
    let offset: Int

    var unexpected: PcapngParseError {
        PcapngParseError(offset: offset, problem: "unexpected option \(code): \(value.prefix(16))")
    }

    func text() throws(PcapngParseError) -> String {
        guard let text = String(validating: value, as: UTF8.self), !value.contains(0) else {
            throw unexpected
        }
        return text
    }

    func octets(_ byteCount: Int) throws(PcapngParseError) -> [UInt8] {
        guard value.count == byteCount else { throw unexpected }
        return value
    }

    func number() throws(PcapngParseError) -> UInt64 {
        var reader = PcapngReader(bytes: try octets(8))
        return try reader.number(UInt64.self)
    }

    func timestamp() throws(PcapngParseError) -> UInt64 {
        var reader = PcapngReader(bytes: try octets(8))
        return try reader.timestamp()
    }

    /// The expression of `if_filter`, whose first octet is 0 for libpcap's language.
    func filterText() throws(PcapngParseError) -> String {
        guard value.first == 0 else { throw unexpected }
        return try PcapngOption(code: code, value: Array(value[1...]), offset: offset).text()
    }
}
