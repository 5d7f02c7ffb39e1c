/// A Geneve header with its options and the frame that it carries (RFC 8926 section 3.4), as it is
/// behind the UDP header.
@frozen
public struct GeneveView: ~Escapable {
    /// The length of the header without options.
    @inlinable public static var minimumByteCount: Int { 8 }

    /// IANA's UDP port for Geneve.
    @inlinable public static var defaultPort: UInt16 { 6081 }

    public let bytes: RawSpan

    /// 8 to 260, options included; within `bytes`.
    public let headerByteCount: Int

    /// Whether the header has an option that a receiver who does not know it must not ignore. We
    /// know none, and so the frame must be dropped (section 3.5).
    public let hasUnknownCriticalOption: Bool

    /// Nil when the version is not 0, the header, options included, is not within `bytes`, or an
    /// option is longer than the options are.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 8 else { return nil }
        let first = bytes.byte(0)
        let headerByteCount = 8 + Int(first & 0x3F) * 4
        guard first >> 6 == 0, headerByteCount <= bytes.byteCount else { return nil }
        var isCritical = bytes.byte(1) & 0x40 != 0
        if headerByteCount > 8 {
            guard let options = Self.scan(bytes, end: headerByteCount) else { return nil }
            isCritical = isCritical || options.isCritical
        }
        self.bytes = bytes
        self.headerByteCount = headerByteCount
        self.hasUnknownCriticalOption = isCritical
    }

    /// Walks the options up to `end`; nil when the last one goes beyond.
    @inlinable
    static func scan(_ bytes: RawSpan, end: Int) -> (count: Int, isCritical: Bool)? {
        var offset = 8
        var count = 0
        var isCritical = false
        while offset < end {
            // Class (2), type, and a length in four-byte words that does not count these four.
            // Always whole: options begin and end at multiples of four.
            if bytes.byte(offset + 2) & 0x80 != 0 { isCritical = true }
            offset += 4 + Int(bytes.byte(offset + 3) & 0x1F) * 4
            count += 1
        }
        return offset == end ? (count, isCritical) : nil
    }

    /// The network's identifier, 24 bits.
    @inlinable @inline(__always)
    public var vni: UInt32 { bytes.loadBigEndian(4, as: UInt32.self) >> 8 }

    /// Whether this is for the tunnel's end itself and not to be forwarded (the O bit).
    @inlinable @inline(__always)
    public var isControl: Bool { bytes.byte(1) & 0x80 != 0 }

    /// The C bit alone; see ``hasUnknownCriticalOption``.
    @inlinable public var announcesCriticalOptions: Bool { bytes.byte(1) & 0x40 != 0 }

    /// What is carried; ``EtherType/ethernetBridging`` for an Ethernet frame.
    @inlinable @inline(__always)
    public var protocolType: EtherType { EtherType(rawValue: bytes.loadBigEndian(2)) }

    /// What is behind the header and its options.
    @inlinable
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: headerByteCount) }
    }

    /// Writes the header of an Ethernet frame, eight bytes without options, which the caller
    /// guarantees to be writable.
    @inlinable @inline(__always)
    public static func write(
        vni: UInt32, isControl: Bool = false, to header: UnsafeMutableRawPointer
    ) {
        header.storeBigEndian(UInt32(isControl ? 0x0080_6558 : 0x0000_6558), at: 0)
        header.storeBigEndian(vni << 8, at: 4)
    }
}
