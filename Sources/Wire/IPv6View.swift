/// An IPv6 header and what it carries (RFC 8200).
@frozen
public struct IPv6View: ~Escapable {
    @inlinable public static var headerByteCount: Int { 40 }

    /// From the header's first byte; may be longer than the packet (Ethernet padding) or shorter
    /// (a truncated capture).
    public let bytes: RawSpan

    /// Nil when the version is not 6 or the fixed header is not within `bytes`.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 40, bytes.byte(0) >> 4 == 6 else { return nil }
        self.bytes = bytes
    }

    /// DSCP (6 bits) and ECN (2 bits).
    @inlinable public var trafficClass: UInt8 {
        UInt8(truncatingIfNeeded: bytes.loadBigEndian(0, as: UInt16.self) >> 4)
    }

    @inlinable public var flowLabel: UInt32 {
        bytes.loadBigEndian(0, as: UInt32.self) & 0xF_FFFF
    }

    /// Everything behind the fixed header, as it claims; not checked against `bytes`.
    @inlinable public var payloadByteCount: Int { Int(bytes.loadBigEndian(4, as: UInt16.self)) }

    @inlinable public var nextHeader: IPProtocol { IPProtocol(rawValue: bytes.byte(6)) }
    @inlinable public var hopLimit: UInt8 { bytes.byte(7) }
    @inlinable public var source: IPv6Address {
        IPv6Address(high: bytes.loadBigEndian(8), low: bytes.loadBigEndian(16))
    }
    @inlinable public var destination: IPv6Address {
        IPv6Address(high: bytes.loadBigEndian(24), low: bytes.loadBigEndian(32))
    }

    /// Whether the header claims more than there is.
    @inlinable public var isTruncated: Bool { 40 + payloadByteCount > bytes.byteCount }

    /// What follows the fixed header, without padding: as much of the claimed length as there is.
    @inlinable
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(40..<min(40 + payloadByteCount, bytes.byteCount)) }
    }

    /// Where the chain of extension headers ends.
    @frozen
    public struct Transport: Equatable, Sendable {
        /// The first header that is not an extension header.
        public var transportProtocol: IPProtocol
        /// Its offset from the start of the IPv6 header; at most `bytes.byteCount`.
        public var offset: Int
        /// Whether a fragment header was passed.
        public var isFragment: Bool
        /// Whether this is a fragment other than the first: what is at `offset` is no header.
        public var isLaterFragment: Bool
        /// Whether a routing header was passed, so that the pseudo header's destination may not be
        /// the one in the fixed header (RFC 8200 section 8.1).
        public var hasRoutingHeader: Bool

        @inlinable
        init(
            transportProtocol: IPProtocol, offset: Int, isFragment: Bool, isLaterFragment: Bool,
            hasRoutingHeader: Bool
        ) {
            self.transportProtocol = transportProtocol
            self.offset = offset
            self.isFragment = isFragment
            self.isLaterFragment = isLaterFragment
            self.hasRoutingHeader = hasRoutingHeader
        }
    }

    /// Extension headers that are walked at most; more are nobody's honest packet.
    @inlinable static var extensionHeaderLimit: Int { 8 }

    /// Walks the extension headers. Nil when one of them is not within `bytes` or there are more
    /// than eight.
    @inlinable
    public func transport() -> Transport? {
        var transport = Transport(
            transportProtocol: nextHeader, offset: 40, isFragment: false, isLaterFragment: false,
            hasRoutingHeader: false)
        for _ in 0...Self.extensionHeaderLimit {
            let offset = transport.offset
            let byteCount: Int
            switch transport.transportProtocol.rawValue {
            case 0, 43, 60, 135, 139, 140:
                // Hop-by-hop, routing, destination options, mobility, HIP, shim6: length in
                // eight-byte units, not counting the first (RFC 6564).
                guard offset + 8 <= bytes.byteCount else { return nil }
                byteCount = (Int(bytes.byte(offset + 1)) + 1) * 8
                if transport.transportProtocol == .routing { transport.hasRoutingHeader = true }
            case 51:
                // AH: in four-byte units, not counting the first two (RFC 4302 section 2.2).
                guard offset + 8 <= bytes.byteCount else { return nil }
                byteCount = (Int(bytes.byte(offset + 1)) + 2) * 4
            case 44:
                guard offset + 8 <= bytes.byteCount else { return nil }
                byteCount = 8
                transport.isFragment = true
                if bytes.loadBigEndian(offset + 2, as: UInt16.self) & 0xFFF8 != 0 {
                    transport.isLaterFragment = true
                }
            default:
                return transport
            }
            guard offset + byteCount <= bytes.byteCount else { return nil }
            transport.transportProtocol = IPProtocol(rawValue: bytes.byte(offset))
            transport.offset = offset + byteCount
            if transport.isLaterFragment { return transport }
        }
        return nil
    }
}
