/// An IPv4 header and what it carries (RFC 791).
@frozen
public struct IPv4View: ~Escapable {
    @inlinable public static var minimumByteCount: Int { 20 }

    /// From the header's first byte; may be longer than the packet (Ethernet padding) or shorter
    /// (a truncated capture).
    public let bytes: RawSpan

    /// 20 to 60, options included; within `bytes`.
    public let headerByteCount: Int

    /// Nil when the version is not 4, or the header, options included, is not within `bytes`.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 20 else { return nil }
        let first = bytes.byte(0)
        let headerByteCount = Int(first & 0x0F) * 4
        guard first >> 4 == 4, headerByteCount >= 20, headerByteCount <= bytes.byteCount else {
            return nil
        }
        self.bytes = bytes
        self.headerByteCount = headerByteCount
    }

    /// DSCP (6 bits) and ECN (2 bits).
    @inlinable public var trafficClass: UInt8 { bytes.byte(1) }

    /// Header and payload as the header claims; not checked against `bytes`.
    @inlinable public var totalByteCount: Int { Int(bytes.loadBigEndian(2, as: UInt16.self)) }

    @inlinable public var identification: UInt16 { bytes.loadBigEndian(4) }
    @inlinable public var isFragmentationForbidden: Bool { bytes.byte(6) & 0x40 != 0 }
    @inlinable public var hasMoreFragments: Bool { bytes.byte(6) & 0x20 != 0 }

    /// Offset of this fragment's payload in the datagram, in bytes.
    @inlinable public var fragmentOffset: Int {
        Int(bytes.loadBigEndian(6, as: UInt16.self) & 0x1FFF) * 8
    }

    /// Whether the packet is a part of a datagram, the first part included.
    @inlinable public var isFragment: Bool {
        bytes.loadBigEndian(6, as: UInt16.self) & 0x3FFF != 0
    }

    @inlinable public var timeToLive: UInt8 { bytes.byte(8) }
    @inlinable public var transportProtocol: IPProtocol { IPProtocol(rawValue: bytes.byte(9)) }
    @inlinable public var headerChecksum: UInt16 { bytes.loadBigEndian(10) }
    @inlinable public var source: IPv4Address { IPv4Address(rawValue: bytes.loadBigEndian(12)) }
    @inlinable public var destination: IPv4Address {
        IPv4Address(rawValue: bytes.loadBigEndian(16))
    }

    @inlinable public var hasValidHeaderChecksum: Bool {
        var sum = InternetChecksum()
        sum.add(bytes.extracting(0..<headerByteCount))
        return sum.value == 0
    }

    /// Whether the header claims more than there is, or less than itself.
    @inlinable public var isTruncated: Bool {
        totalByteCount > bytes.byteCount || totalByteCount < headerByteCount
    }

    /// What follows the header, without padding: as much of the claimed length as there is.
    @inlinable
    public var payload: RawSpan {
        @_lifetime(copy self)
        get {
            let end = min(max(totalByteCount, headerByteCount), bytes.byteCount)
            return bytes.extracting(headerByteCount..<end)
        }
    }
}
