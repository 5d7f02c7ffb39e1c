/// A UDP header and what it carries (RFC 768).
@frozen
public struct UDPView: ~Escapable {
    @inlinable public static var headerByteCount: Int { 8 }

    public let bytes: RawSpan

    /// Nil when the header is not within `bytes`.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 8 else { return nil }
        self.bytes = bytes
    }

    @inlinable public var sourcePort: UInt16 { bytes.loadBigEndian(0) }
    @inlinable public var destinationPort: UInt16 { bytes.loadBigEndian(2) }

    /// Header and payload as the header claims; not checked against `bytes`.
    @inlinable public var totalByteCount: Int { Int(bytes.loadBigEndian(4, as: UInt16.self)) }

    /// 0 when the sender computed none.
    @inlinable public var checksum: UInt16 { bytes.loadBigEndian(6) }

    /// As much of the claimed length as there is.
    @inlinable
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(8..<min(max(totalByteCount, 8), bytes.byteCount)) }
    }
}
