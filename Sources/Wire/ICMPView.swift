/// The start of an ICMP or ICMPv6 message, which have the same shape (RFC 792, RFC 4443).
@frozen
public struct ICMPView: ~Escapable {
    @inlinable public static var headerByteCount: Int { 8 }

    public let bytes: RawSpan

    /// Nil when the eight-byte header is not within `bytes`.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 8 else { return nil }
        self.bytes = bytes
    }

    @inlinable public var type: UInt8 { bytes.byte(0) }
    @inlinable public var code: UInt8 { bytes.byte(1) }
    @inlinable public var checksum: UInt16 { bytes.loadBigEndian(2) }

    /// Meaningful in echo requests and replies only.
    @inlinable public var echoIdentifier: UInt16 { bytes.loadBigEndian(4) }
    /// Meaningful in echo requests and replies only.
    @inlinable public var echoSequence: UInt16 { bytes.loadBigEndian(6) }

    /// What follows the eight-byte header.
    @inlinable
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: 8) }
    }
}
