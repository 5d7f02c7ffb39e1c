/// A VXLAN header and the frame that it carries (RFC 7348 section 5), as it is behind the UDP
/// header.
@frozen
public struct VXLANView: ~Escapable {
    /// The length of the header.
    @inlinable public static var byteCount: Int { 8 }

    /// IANA's UDP port for VXLAN.
    @inlinable public static var defaultPort: UInt16 { 4789 }

    public let bytes: RawSpan

    /// Nil when the header is not within `bytes`, or does not say that its VNI is valid (the I
    /// flag). The reserved bits are ignored, as the RFC wants of a receiver.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 8, bytes.byte(0) & 0x08 != 0 else { return nil }
        self.bytes = bytes
    }

    /// The network's identifier, 24 bits.
    @inlinable @inline(__always)
    public var vni: UInt32 { bytes.loadBigEndian(4, as: UInt32.self) >> 8 }

    /// The inner Ethernet frame.
    @inlinable
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: 8) }
    }

    /// Writes a header of eight bytes, which the caller guarantees to be writable.
    @inlinable @inline(__always)
    public static func write(vni: UInt32, to header: UnsafeMutableRawPointer) {
        header.storeBigEndian(UInt32(0x0800_0000), at: 0)
        header.storeBigEndian(vni << 8, at: 4)
    }
}
