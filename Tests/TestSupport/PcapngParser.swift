// A strict reader of what Heddle's pcapng writer may produce, written from the format's draft and
// not from the writer: one little-endian section, nanosecond stamps, the blocks and options below.
// Anything else, a padding byte that is not zero or a length that does not add up is an error.

/// What a pcapng file does wrong, and at which byte.
package struct PcapngParseError: Error, CustomStringConvertible {
    package let offset: Int
    package let problem: String

    package var description: String { "byte \(offset): \(problem)" }
}

/// Reads a whole pcapng file.
package struct PcapngParser {
    private var reader: PcapngReader
    private var file = PcapngFile()

    /// Parses a file strictly; the error tells the first thing that is wrong.
    package static func parse(_ bytes: [UInt8]) throws(PcapngParseError) -> PcapngFile {
        var parser = PcapngParser(reader: PcapngReader(bytes: bytes))
        try parser.parseSection()
        return parser.file
    }

    private mutating func parseSection() throws(PcapngParseError) {
        var isFirst = true
        while reader.remaining > 0 {
            let start = reader.offset
            let type = try reader.number(UInt32.self)
            let byteCount = Int(try reader.number(UInt32.self))
            try reader.require(
                byteCount >= 12 && byteCount % 4 == 0, "block length \(byteCount) is impossible")
            var body = try reader.slice(byteCount - 12)
            let trailer = Int(try reader.number(UInt32.self))
            try reader.require(
                trailer == byteCount, "trailing block length \(trailer) is not \(byteCount)")
            guard isFirst == (type == 0x0A0D_0D0A) else {
                throw PcapngParseError(
                    offset: start, problem: "a section header belongs at the start, once")
            }
            isFirst = false
            switch type {
            case 0x0A0D_0D0A: try sectionHeader(&body)
            case 1: try interface(&body)
            case 4: try names(&body)
            case 5: try statistics(&body)
            case 6: try packet(&body)
            default:
                throw PcapngParseError(offset: start, problem: "unexpected block type \(type)")
            }
            try body.require(body.remaining == 0, "\(body.remaining) bytes after the last option")
        }
        try reader.require(!isFirst, "no section header")
    }

    private mutating func sectionHeader(_ body: inout PcapngReader) throws(PcapngParseError) {
        try body.require(
            try body.number(UInt32.self) == 0x1A2B_3C4D, "the section is not little-endian")
        try body.require(try body.number(UInt16.self) == 1, "major version is not 1")
        try body.require(try body.number(UInt16.self) == 0, "minor version is not 0")
        try body.require(try body.number(UInt64.self) == .max, "section length is not -1")
        for option in try body.options() {
            switch option.code {
            case 1: file.comment = try option.text()
            case 2: file.hardware = try option.text()
            case 3: file.operatingSystem = try option.text()
            case 4: file.application = try option.text()
            default: throw option.unexpected
            }
        }
    }

    private mutating func interface(_ body: inout PcapngReader) throws(PcapngParseError) {
        let linkType = try body.number(UInt16.self)
        try body.require(try body.number(UInt16.self) == 0, "reserved field is not zero")
        var interface = PcapngFile.Interface(
            linkType: linkType, snapLength: try body.number(UInt32.self), timestampResolution: 6)
        for option in try body.options() {
            switch option.code {
            case 2: interface.name = try option.text()
            case 3: interface.description = try option.text()
            case 6: interface.macAddress = try option.octets(6)
            case 8: interface.speed = try option.number()
            case 9: interface.timestampResolution = try option.octets(1)[0]
            case 11: interface.filter = try option.filterText()
            default: throw option.unexpected
            }
        }
        try body.require(interface.timestampResolution == 9, "stamps are not in nanoseconds")
        file.interfaces.append(interface)
    }

    private mutating func packet(_ body: inout PcapngReader) throws(PcapngParseError) {
        let interfaceID = try interfaceID(&body)
        let timestamp = try body.timestamp()
        let captured = Int(try body.number(UInt32.self))
        let original = Int(try body.number(UInt32.self))
        let snapLength = Int(file.interfaces[interfaceID].snapLength)
        try body.require(captured <= original, "captured \(captured) of \(original) bytes")
        try body.require(
            snapLength == 0 || captured <= snapLength,
            "captured \(captured) bytes, snap length \(snapLength)")
        var packet = PcapngFile.Packet(
            interfaceID: interfaceID, timestampNanoseconds: timestamp,
            originalByteCount: original, bytes: try body.padded(captured), direction: .unknown,
            comments: [])
        for option in try body.options() {
            switch option.code {
            case 1: packet.comments.append(try option.text())
            case 2:
                let octets = try option.octets(4)
                guard octets[1...] == [0, 0, 0],
                    let direction = PcapngFile.Direction(rawValue: UInt32(octets[0]))
                else { throw option.unexpected }
                packet.direction = direction
            case 4: packet.dropCount = try option.number()
            case 5: packet.packetID = try option.number()
            case 7: packet.verdict = option.value
            default: throw option.unexpected
            }
        }
        file.packets.append(packet)
    }

    private mutating func statistics(_ body: inout PcapngReader) throws(PcapngParseError) {
        var statistics = PcapngFile.Statistics(
            interfaceID: try interfaceID(&body), timestampNanoseconds: try body.timestamp())
        for option in try body.options() {
            switch option.code {
            case 2: statistics.startNanoseconds = try option.timestamp()
            case 3: statistics.endNanoseconds = try option.timestamp()
            case 4: statistics.received = try option.number()
            case 5: statistics.dropped = try option.number()
            case 6: statistics.accepted = try option.number()
            case 8: statistics.delivered = try option.number()
            default: throw option.unexpected
            }
        }
        file.statistics.append(statistics)
    }

    private mutating func names(_ body: inout PcapngReader) throws(PcapngParseError) {
        while true {
            let type = try body.number(UInt16.self)
            let byteCount = Int(try body.number(UInt16.self))
            if type == 0 {
                try body.require(byteCount == 0, "the end of names has a length")
                return
            }
            guard let addressByteCount = [1: 4, 2: 16, 3: 6][type] else {
                throw PcapngParseError(
                    offset: body.offset, problem: "unexpected name record \(type)")
            }
            let value = try body.padded(byteCount)
            let text = value.dropFirst(addressByteCount)
            try body.require(text.count > 1 && text.last == 0, "names are not NUL-terminated")
            let names = text.dropLast().split(separator: 0, omittingEmptySubsequences: false)
            file.names.append(
                PcapngFile.Name(
                    address: Array(value.prefix(addressByteCount)),
                    names: names.map { String(decoding: $0, as: UTF8.self) }))
        }
    }

    private func interfaceID(_ body: inout PcapngReader) throws(PcapngParseError) -> Int {
        let interfaceID = Int(try body.number(UInt32.self))
        try body.require(
            interfaceID < file.interfaces.count, "interface \(interfaceID) is not described")
        return interfaceID
    }
}
