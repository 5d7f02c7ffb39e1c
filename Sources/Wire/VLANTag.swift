/// A VLAN tag as it stands in a frame: TPID and TCI (IEEE 802.1Q-2018 clause 9).
@frozen
public struct VLANTag: Hashable, Sendable {
    /// What the tag adds to a frame's length.
    public static let byteCount = 4

    public var tpid: EtherType
    /// Tag control information: PCP (3 bits), DEI (1 bit), VID (12 bits).
    public var tci: UInt16

    @inlinable @inline(__always)
    public init(tpid: EtherType = .customerTag, tci: UInt16) {
        self.tpid = tpid
        self.tci = tci
    }

    /// `priority` counts from 0 to 7; higher bits are ignored.
    @inlinable
    public init(
        tpid: EtherType = .customerTag, id: VLANID, priority: UInt8 = 0,
        isDropEligible: Bool = false
    ) {
        self.tpid = tpid
        self.tci =
            UInt16(priority & 7) << 13 | (isDropEligible ? 0x1000 : 0) | id.rawValue
    }

    /// Priority code point, 0 to 7.
    @inlinable @inline(__always)
    public var priority: UInt8 { UInt8(truncatingIfNeeded: tci >> 13) }

    /// Drop eligible indicator.
    @inlinable @inline(__always)
    public var isDropEligible: Bool { tci & 0x1000 != 0 }

    /// The VID field as it stands, 0 and 4095 included.
    @inlinable @inline(__always)
    public var rawID: UInt16 { tci & 0x0FFF }

    /// The VLAN that the tag names; nil for 0 (priority tagged) and 4095 (reserved).
    @inlinable @inline(__always)
    public var id: VLANID? { VLANID(rawID) }

    /// Whether the VID is 0: the tag carries a priority and names no VLAN.
    @inlinable @inline(__always)
    public var isPriorityTag: Bool { rawID == 0 }

    /// Writes the four bytes of the tag; the caller guarantees that they are writable.
    @inlinable @inline(__always)
    public func store(to bytes: UnsafeMutableRawPointer) {
        bytes.storeBigEndian(UInt32(tpid.rawValue) << 16 | UInt32(tci), at: 0)
    }
}

extension VLANTag: CustomStringConvertible {
    public var description: String {
        var text = "vlan \(rawID)"
        if tpid != .customerTag { text += " tpid \(hexText(tpid.rawValue, digitCount: 4))" }
        if priority != 0 { text += " pcp \(priority)" }
        if isDropEligible { text += " dei" }
        return text
    }
}
