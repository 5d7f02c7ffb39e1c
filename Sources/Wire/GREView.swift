/// A GRE header and what it carries (RFC 2784; key and sequence number: RFC 2890), as it is behind
/// the IP header. NVGRE (RFC 7637) is GRE with a key that has two parts.
@frozen
public struct GREView: ~Escapable {
    /// The length of the header without optional fields.
    @inlinable public static var minimumByteCount: Int { 4 }

    /// The length of the header with a key and nothing else, which is what the `write` functions
    /// make.
    @inlinable public static var keyedByteCount: Int { 8 }

    public let bytes: RawSpan

    /// 4 to 16; within `bytes`.
    public let headerByteCount: Int

    /// Nil when the version is not 0, a bit is set that a receiver must know to understand the
    /// header, or the header is not within `bytes`.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 4 else { return nil }
        let flags = bytes.loadBigEndian(0, as: UInt16.self)
        // Of the bits 1 to 5, which must be zero (RFC 2784 section 2.3), RFC 2890 gave two a
        // meaning; left are routing, strict source route and the first of recursion control. The
        // bits 6 to 12 are ignored; the version is in the last three.
        guard flags & 0x4C07 == 0 else { return nil }
        let fieldCount = Int(flags >> 15) + Int(flags >> 13 & 1) + Int(flags >> 12 & 1)
        let headerByteCount = 4 + 4 * fieldCount
        guard headerByteCount <= bytes.byteCount else { return nil }
        self.bytes = bytes
        self.headerByteCount = headerByteCount
    }

    @inlinable @inline(__always)
    public var hasChecksum: Bool { bytes.byte(0) & 0x80 != 0 }
    @inlinable @inline(__always)
    public var hasKey: Bool { bytes.byte(0) & 0x20 != 0 }
    @inlinable @inline(__always)
    public var hasSequenceNumber: Bool { bytes.byte(0) & 0x10 != 0 }

    /// What is carried; ``EtherType/ethernetBridging`` for an Ethernet frame.
    @inlinable @inline(__always)
    public var protocolType: EtherType { EtherType(rawValue: bytes.loadBigEndian(2)) }

    /// Nil without a key.
    @inlinable @inline(__always)
    public var key: UInt32? {
        hasKey ? bytes.loadBigEndian(hasChecksum ? 8 : 4) : nil
    }

    /// Nil without a sequence number.
    @inlinable
    public var sequenceNumber: UInt32? {
        hasSequenceNumber ? bytes.loadBigEndian(headerByteCount - 4) : nil
    }

    /// Whether the checksum, if there is one, is right: it covers header and payload, so that
    /// `bytes` must be the whole packet and nothing more. Costs a pass over them.
    @inlinable
    public func verifyChecksum() -> Bool {
        guard hasChecksum else { return true }
        var sum = InternetChecksum()
        sum.add(bytes)
        return sum.value == 0
    }

    /// Whether the header is one of NVGRE: a key, neither checksum nor sequence number, and an
    /// Ethernet frame (RFC 7637 section 3.2).
    @inlinable
    public var isNVGRE: Bool {
        bytes.byte(0) & 0xB0 == 0x20 && protocolType == .ethernetBridging
    }

    /// NVGRE's network identifier, the high 24 bits of the key; nil without one.
    @inlinable public var virtualSubnetID: UInt32? { key.map { $0 >> 8 } }

    /// NVGRE's entropy, the low 8 bits of the key; nil without one.
    @inlinable public var flowID: UInt8? { key.map { UInt8(truncatingIfNeeded: $0) } }

    /// What is behind the header.
    @inlinable
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: headerByteCount) }
    }

    /// Writes the header of an Ethernet frame, eight bytes with a key, which the caller guarantees
    /// to be writable.
    @inlinable @inline(__always)
    public static func write(key: UInt32, to header: UnsafeMutableRawPointer) {
        header.storeBigEndian(UInt32(0x2000_6558), at: 0)
        header.storeBigEndian(key, at: 4)
    }

    /// Writes an NVGRE header, eight bytes, which the caller guarantees to be writable.
    @inlinable @inline(__always)
    public static func write(
        virtualSubnetID: UInt32, flowID: UInt8, to header: UnsafeMutableRawPointer
    ) {
        write(key: virtualSubnetID << 8 | UInt32(flowID), to: header)
    }
}
