/// The Ethernet header at the start of a frame (IEEE 802.3 clause 3.1.1), tagged or not.
///
/// A view copies nothing: it reads the span that it was made of, after the one length guard of its
/// initialiser. The frame has no FCS.
@frozen
public struct EthernetView: ~Escapable {
    /// The length of an untagged header, and the shortest frame that can be viewed.
    public static let minimumByteCount = 14

    public let bytes: RawSpan

    /// Nil when the frame is shorter than an untagged header.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 14 else { return nil }
        self.bytes = bytes
    }

    // Eight bytes are loaded for six: both addresses are followed by two bytes of header.

    @inlinable @inline(__always)
    public var destination: MACAddress {
        MACAddress(rawValue: bytes.loadBigEndian(0, as: UInt64.self) >> 16)
    }

    @inlinable @inline(__always)
    public var source: MACAddress {
        MACAddress(rawValue: bytes.loadBigEndian(6, as: UInt64.self) >> 16)
    }

    /// The two bytes after the addresses: the TPID of a tagged frame, else its EtherType.
    @inlinable @inline(__always)
    public var outerType: EtherType { EtherType(rawValue: bytes.loadBigEndian(12)) }

    /// The outermost tag; nil when there is none, or when the frame ends within it
    /// (`isTruncated`).
    @inlinable @inline(__always)
    public var tag: VLANTag? {
        let tpid = outerType
        guard tpid.isVLANTag, bytes.byteCount >= 18 else { return nil }
        return VLANTag(tpid: tpid, tci: bytes.loadBigEndian(14))
    }

    /// Whether the frame announces a tag and ends before the type that must follow it.
    @inlinable @inline(__always)
    public var isTruncated: Bool { outerType.isVLANTag && bytes.byteCount < 18 }

    /// 14, or 18 with a tag.
    @inlinable @inline(__always)
    public var headerByteCount: Int { tag == nil ? 14 : 18 }

    /// The type of what follows the header: behind the outermost tag if there is one, and then
    /// possibly another TPID.
    @inlinable @inline(__always)
    public var etherType: EtherType {
        tag == nil ? outerType : EtherType(rawValue: bytes.loadBigEndian(16))
    }

    /// Everything behind the header, Ethernet padding included.
    @inlinable
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: headerByteCount) }
    }
}
