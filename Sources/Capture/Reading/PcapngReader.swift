/// Reads pcapng (draft-ietf-opsawg-pcapng) out of bytes that the caller holds.
///
/// Theory of operation
///
/// The caller shows the bytes from where the last step ended, as many as it has, and gets one step:
/// a frame, bytes to pass over, or how many bytes must be there first. Nothing is copied and nothing
/// is kept of a block but what an interface block says. Sections may be in either byte order and
/// follow each other; a frame's interface is counted through all of them.
///
/// Blocks: section header, interface, enhanced, simple and the obsolete packet block are read; name
/// resolution, statistics and all others are passed over. Of options, those that
/// ``CaptureInterface`` and ``CapturedFrame`` name are read.
///
/// Every length is compared with its container's before anything behind it is looked at, and a block
/// is at most ``CaptureLimits/blockByteCount`` long. A block that the file's end cuts off is not an
/// error here: the caller sees a step that wants more than there is.
package struct PcapngReader {
    private static let sectionHeader: UInt32 = 0x0A0D_0D0A

    package private(set) var interfaces: [CaptureInterface] = []
    /// Where the next step begins in the file.
    package private(set) var offset: UInt64 = 0
    private var numbers = CaptureNumbers(isSwapped: false)
    /// The place in `interfaces` of the section's interface 0.
    private var firstInterface = 0
    private var frameCount: UInt64 = 0

    package init() {}

    package mutating func next(
        _ bytes: UnsafeRawBufferPointer
    ) throws(CaptureFormatError) -> CaptureStep {
        guard bytes.count >= 12, let base = bytes.baseAddress else {
            return .needs(byteCount: 12)
        }
        // The same in either order.
        let isSection = base.loadUnaligned(as: UInt32.self) == PcapngReader.sectionHeader
        if isSection { try readByteOrder(base) }
        let type = numbers.load(base, 0, as: UInt32.self)
        let byteCount = Int(numbers.load(base, 4, as: UInt32.self))
        guard byteCount >= 12, byteCount & 3 == 0 else {
            throw fault(.impossibleBlockLength(type: type, byteCount: byteCount))
        }
        guard byteCount <= CaptureLimits.blockByteCount else {
            throw fault(.blockTooLong(type: type, byteCount: byteCount))
        }
        guard bytes.count >= byteCount else { return .needs(byteCount: byteCount) }
        let trailer = Int(numbers.load(base, byteCount - 4, as: UInt32.self))
        guard trailer == byteCount else {
            throw fault(.trailerDiffers(byteCount: byteCount, trailer: trailer))
        }
        let body = UnsafeRawBufferPointer(start: base + 8, count: byteCount - 12)
        let frame: CapturedFrame
        switch type {
        case 6: frame = try enhancedPacket(body, byteCount)
        case 3: frame = try simplePacket(body, byteCount)
        case 2: frame = try obsoletePacket(body, byteCount)
        case PcapngReader.sectionHeader:
            try section(body, byteCount)
            return skip(byteCount)
        case 1:
            try interface(body, byteCount)
            return skip(byteCount)
        default: return skip(byteCount)
        }
        offset &+= UInt64(byteCount)
        return .frame(frame, byteCount: byteCount)
    }

    private mutating func skip(_ byteCount: Int) -> CaptureStep {
        offset &+= UInt64(byteCount)
        return .skipped(byteCount: byteCount)
    }

    private func fault(_ problem: CaptureFormatError.Problem) -> CaptureFormatError {
        CaptureFormatError(problem, at: offset)
    }

    // MARK: Sections and interfaces

    private mutating func readByteOrder(_ base: UnsafeRawPointer) throws(CaptureFormatError) {
        let magic = base.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        switch magic {
        case 0x1A2B_3C4D: numbers.isSwapped = false
        case 0x4D3C_2B1A: numbers.isSwapped = true
        default: throw fault(.unknownByteOrder(magic))
        }
    }

    private mutating func section(
        _ body: UnsafeRawBufferPointer, _ byteCount: Int
    ) throws(CaptureFormatError) {
        guard body.count >= 16, let base = body.baseAddress else {
            throw fault(
                .impossibleBlockLength(type: PcapngReader.sectionHeader, byteCount: byteCount))
        }
        let major = numbers.load(base, 4, as: UInt16.self)
        let minor = numbers.load(base, 6, as: UInt16.self)
        // Minor 2 is in the field, and the draft has it treated as 0.
        guard major == 1, minor == 0 || minor == 2 else {
            throw fault(.unsupportedVersion(format: "pcapng", major: major, minor: minor))
        }
        firstInterface = interfaces.count
    }

    private mutating func interface(
        _ body: UnsafeRawBufferPointer, _ byteCount: Int
    ) throws(CaptureFormatError) {
        guard body.count >= 8, let base = body.baseAddress else {
            throw fault(.impossibleBlockLength(type: 1, byteCount: byteCount))
        }
        guard interfaces.count < CaptureLimits.interfaceCount else {
            throw fault(.tooManyInterfaces)
        }
        var interface = CaptureInterface(
            linkType: numbers.load(base, 0, as: UInt16.self),
            snapLength: numbers.load(base, 4, as: UInt32.self))
        var options = options(UnsafeRawBufferPointer(rebasing: body[8...]))
        while let option = try options.next() {
            switch option.code {
            case 2: interface.name = text(option.value)
            case 3: interface.description = text(option.value)
            case 9:
                try expect(option, 1, "if_tsresol")
                interface.clock.resolution = option.value[0]
            case 13:
                try expect(option, 1, "if_fcslen")
                interface.fcsByteCount = Int(option.value[0])
            case 14:
                try expect(option, 8, "if_tsoffset")
                if let value = option.value.baseAddress {
                    interface.clock.offset = numbers.load(value, 0, as: Int64.self)
                }
            default: break
            }
        }
        interfaces.append(interface)
    }

    private func expect(
        _ option: PcapngOptionReader.Option, _ byteCount: Int, _ name: String
    ) throws(CaptureFormatError) {
        guard option.value.count == byteCount else {
            throw fault(
                .optionLength(name: name, byteCount: option.value.count, expected: byteCount))
        }
    }

    /// Some writers end a name with a zero byte.
    private func text(_ value: UnsafeRawBufferPointer) -> String? {
        let octets = value.prefix(CaptureLimits.nameByteCount).prefix { $0 != 0 }
        return octets.isEmpty ? nil : String(decoding: octets, as: UTF8.self)
    }

    @inline(__always)
    private func options(_ bytes: UnsafeRawBufferPointer) -> PcapngOptionReader {
        PcapngOptionReader(bytes: bytes, numbers: numbers, offset: offset)
    }

    // MARK: Frames

    private mutating func enhancedPacket(
        _ body: UnsafeRawBufferPointer, _ byteCount: Int
    ) throws(CaptureFormatError) -> CapturedFrame {
        guard body.count >= 20, let base = body.baseAddress else {
            throw fault(.impossibleBlockLength(type: 6, byteCount: byteCount))
        }
        return try frame(
            body, interface: Int(numbers.load(base, 0, as: UInt32.self)), flagsCode: 2,
            packetIDCode: 5)
    }

    /// As the enhanced one but for its first word: interface and drops, 16 bits each.
    private mutating func obsoletePacket(
        _ body: UnsafeRawBufferPointer, _ byteCount: Int
    ) throws(CaptureFormatError) -> CapturedFrame {
        guard body.count >= 20, let base = body.baseAddress else {
            throw fault(.impossibleBlockLength(type: 2, byteCount: byteCount))
        }
        return try frame(
            body, interface: Int(numbers.load(base, 0, as: UInt16.self)), flagsCode: 2,
            packetIDCode: 0)
    }

    @inline(__always)
    private mutating func frame(
        _ body: UnsafeRawBufferPointer, interface number: Int, flagsCode: UInt16,
        packetIDCode: UInt16
    ) throws(CaptureFormatError) -> CapturedFrame {
        let place = try interface(numbered: number)
        guard let base = body.baseAddress else { throw fault(.empty) }
        let stamp =
            UInt64(numbers.load(base, 4, as: UInt32.self)) << 32
            | UInt64(numbers.load(base, 8, as: UInt32.self))
        let captured = Int(numbers.load(base, 12, as: UInt32.self))
        let padded = (captured + 3) & ~3
        guard padded <= body.count - 20 else {
            throw fault(.frameBeyondBlock(byteCount: captured, room: body.count - 20))
        }
        frameCount &+= 1
        var frame = CapturedFrame(
            number: frameCount, interface: place, direction: nil,
            timestampNanoseconds: interfaces[place].clock.nanoseconds(stamp),
            originalByteCount: numbers.load(base, 16, as: UInt32.self),
            bytes: UnsafeRawBufferPointer(start: base + 20, count: captured), packetID: nil,
            commentBytes: UnsafeRawBufferPointer(start: base, count: 0), offset: offset)
        var fcs = interfaces[place].fcsByteCount
        if padded < body.count - 20 {
            var options = options(
                UnsafeRawBufferPointer(
                    start: base + 20 + padded, count: body.count - 20 - padded))
            while let option = try options.next() {
                if option.code == 1 {
                    if frame.commentBytes.isEmpty { frame.commentBytes = option.value }
                } else if option.code == flagsCode {
                    try expect(option, 4, "epb_flags")
                    guard let value = option.value.baseAddress else { continue }
                    let flags = numbers.load(value, 0, as: UInt32.self)
                    frame.direction = CaptureDirection(rawValue: UInt8(flags & 3))
                    if flags >> 5 & 0xF != 0 { fcs = Int(flags >> 5 & 0xF) }
                } else if option.code == packetIDCode, packetIDCode != 0 {
                    try expect(option, 8, "epb_packetid")
                    guard let value = option.value.baseAddress else { continue }
                    frame.packetID = numbers.load(value, 0, as: UInt64.self)
                }
            }
        }
        if fcs != 0 { frame.dropFCS(fcs) }
        return frame
    }

    private mutating func simplePacket(
        _ body: UnsafeRawBufferPointer, _ byteCount: Int
    ) throws(CaptureFormatError) -> CapturedFrame {
        guard body.count >= 4, let base = body.baseAddress else {
            throw fault(.impossibleBlockLength(type: 3, byteCount: byteCount))
        }
        let place = try interface(numbered: 0)
        let original = numbers.load(base, 0, as: UInt32.self)
        let snapLength = interfaces[place].snapLength
        let captured = Int(snapLength == 0 ? original : min(original, snapLength))
        guard captured <= body.count - 4 else {
            throw fault(.frameBeyondBlock(byteCount: captured, room: body.count - 4))
        }
        frameCount &+= 1
        var frame = CapturedFrame(
            number: frameCount, interface: place, direction: nil, timestampNanoseconds: nil,
            originalByteCount: original,
            bytes: UnsafeRawBufferPointer(start: base + 4, count: captured), packetID: nil,
            commentBytes: UnsafeRawBufferPointer(start: base, count: 0), offset: offset)
        if interfaces[place].fcsByteCount != 0 { frame.dropFCS(interfaces[place].fcsByteCount) }
        return frame
    }

    @inline(__always)
    private func interface(numbered number: Int) throws(CaptureFormatError) -> Int {
        let known = interfaces.count - firstInterface
        guard number < known else { throw fault(.unknownInterface(number, known: known)) }
        let place = firstInterface + number
        guard interfaces[place].isEthernet else {
            let interface = interfaces[place]
            throw fault(
                .notEthernet(
                    interface: interface.name.map { "'\($0)'" } ?? "\(number)",
                    linkType: interface.linkTypeName))
        }
        return place
    }
}

/// The options of one block, one after the other.
struct PcapngOptionReader {
    struct Option {
        let code: UInt16
        let value: UnsafeRawBufferPointer
    }

    private let bytes: UnsafeRawBufferPointer
    private let numbers: CaptureNumbers
    /// Of the block.
    private let offset: UInt64
    private var cursor = 0

    init(bytes: UnsafeRawBufferPointer, numbers: CaptureNumbers, offset: UInt64) {
        self.bytes = bytes
        self.numbers = numbers
        self.offset = offset
    }

    /// Nil at the end of options, and at the end of a block that does not say it.
    @inline(__always)
    mutating func next() throws(CaptureFormatError) -> Option? {
        guard bytes.count - cursor >= 4, let base = bytes.baseAddress else { return nil }
        let code = numbers.load(base, cursor, as: UInt16.self)
        guard code != 0 else { return nil }
        let byteCount = Int(numbers.load(base, cursor + 2, as: UInt16.self))
        let room = bytes.count - cursor - 4
        guard (byteCount + 3) & ~3 <= room else {
            throw CaptureFormatError(
                .optionBeyondBlock(code: code, byteCount: byteCount, room: room), at: offset)
        }
        let value = UnsafeRawBufferPointer(start: base + cursor + 4, count: byteCount)
        cursor += 4 + ((byteCount + 3) & ~3)
        return Option(code: code, value: value)
    }
}

extension CapturedFrame {
    /// Takes the frame check sequence off the frame: ports exchange frames without one.
    mutating func dropFCS(_ byteCount: Int) {
        guard Int(originalByteCount) >= byteCount else { return }
        originalByteCount -= UInt32(byteCount)
        bytes = UnsafeRawBufferPointer(
            start: bytes.baseAddress, count: min(bytes.count, Int(originalByteCount)))
    }
}
