/// Reads pcap (draft-ietf-opsawg-pcap), in either byte order and of micro- or nanoseconds, out of
/// bytes that the caller holds; see ``PcapngReader`` for how.
///
/// The file has one interface without a name, and says nothing of directions.
package struct ClassicPcapReader {
    package private(set) var interfaces: [CaptureInterface] = []
    package private(set) var offset: UInt64 = 0
    private var numbers = CaptureNumbers(isSwapped: false)
    private var isNanoseconds = false
    private var frameCount: UInt64 = 0

    private static let headerByteCount = 24

    package init() {}

    /// The file's form by its first four bytes as this machine loads them; nil for another format.
    static func form(of magic: UInt32) -> (isSwapped: Bool, isNanoseconds: Bool)? {
        switch magic {
        case 0xA1B2_C3D4: (false, false)
        case 0xD4C3_B2A1: (true, false)
        case 0xA1B2_3C4D: (false, true)
        case 0x4D3C_B2A1: (true, true)
        default: nil
        }
    }

    package mutating func next(
        _ bytes: UnsafeRawBufferPointer
    ) throws(CaptureFormatError) -> CaptureStep {
        if interfaces.isEmpty { return try header(bytes) }
        guard bytes.count >= 16, let base = bytes.baseAddress else {
            return .needs(byteCount: 16)
        }
        let captured = Int(numbers.load(base, 8, as: UInt32.self))
        guard captured <= CaptureLimits.frameByteCount else {
            throw CaptureFormatError(.recordTooLong(byteCount: captured), at: offset)
        }
        guard bytes.count >= 16 + captured else { return .needs(byteCount: 16 + captured) }
        guard interfaces[0].isEthernet else {
            throw CaptureFormatError(
                .notEthernet(interface: "0", linkType: interfaces[0].linkTypeName), at: offset)
        }
        let fraction = UInt64(numbers.load(base, 4, as: UInt32.self))
        frameCount &+= 1
        var frame = CapturedFrame(
            number: frameCount, interface: 0, direction: nil,
            timestampNanoseconds: UInt64(numbers.load(base, 0, as: UInt32.self)) * 1_000_000_000
                + fraction * (isNanoseconds ? 1 : 1000),
            originalByteCount: numbers.load(base, 12, as: UInt32.self),
            bytes: UnsafeRawBufferPointer(start: base + 16, count: captured), packetID: nil,
            commentBytes: UnsafeRawBufferPointer(start: base, count: 0), offset: offset)
        if interfaces[0].fcsByteCount != 0 { frame.dropFCS(interfaces[0].fcsByteCount) }
        offset &+= UInt64(16 + captured)
        return .frame(frame, byteCount: 16 + captured)
    }

    private mutating func header(
        _ bytes: UnsafeRawBufferPointer
    ) throws(CaptureFormatError) -> CaptureStep {
        guard bytes.count >= ClassicPcapReader.headerByteCount, let base = bytes.baseAddress else {
            return .needs(byteCount: ClassicPcapReader.headerByteCount)
        }
        guard let form = ClassicPcapReader.form(of: base.loadUnaligned(as: UInt32.self)) else {
            throw CaptureFormatError(.unrecognised, at: offset)
        }
        numbers.isSwapped = form.isSwapped
        isNanoseconds = form.isNanoseconds
        let major = numbers.load(base, 4, as: UInt16.self)
        let minor = numbers.load(base, 6, as: UInt16.self)
        guard major == 2, minor == 4 else {
            throw CaptureFormatError(
                .unsupportedVersion(format: "pcap", major: major, minor: minor), at: offset)
        }
        let link = numbers.load(base, 20, as: UInt32.self)
        var interface = CaptureInterface(
            linkType: UInt16(truncatingIfNeeded: link),
            snapLength: numbers.load(base, 16, as: UInt32.self))
        // With the F bit, the upper four bits count the 16-bit words of FCS.
        if link & 0x0400_0000 != 0 { interface.fcsByteCount = Int(link >> 28) * 2 }
        interfaces.append(interface)
        offset &+= UInt64(ClassicPcapReader.headerByteCount)
        return .skipped(byteCount: ClassicPcapReader.headerByteCount)
    }
}
