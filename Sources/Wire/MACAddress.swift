/// A 48-bit MAC address (IEEE 802-2014 clause 8): one word, the first octet most significant.
@frozen
public struct MACAddress: Hashable, Sendable {
    /// The address in the low 48 bits; the high 16 bits are always zero.
    public let rawValue: UInt64

    /// Makes an address of the low 48 bits of `rawValue`.
    @inlinable @inline(__always)
    public init(rawValue: UInt64) {
        self.rawValue = rawValue & 0xFFFF_FFFF_FFFF
    }

    /// Reads six octets; the caller guarantees that they are readable.
    @inlinable @inline(__always)
    public init(_ octets: UnsafeRawPointer) {
        let high: UInt32 = octets.loadBigEndian(0)
        let low: UInt16 = octets.loadBigEndian(4)
        self.rawValue = UInt64(high) << 16 | UInt64(low)
    }

    /// Reads six octets of a span; nil when it holds fewer.
    @inlinable
    public init?(_ octets: RawSpan) {
        guard octets.byteCount >= 6 else { return nil }
        let high: UInt32 = octets.loadBigEndian(0)
        let low: UInt16 = octets.loadBigEndian(4)
        self.rawValue = UInt64(high) << 16 | UInt64(low)
    }

    /// Writes six octets; the caller guarantees that they are writable.
    @inlinable @inline(__always)
    public func store(to octets: UnsafeMutableRawPointer) {
        octets.storeBigEndian(UInt32(truncatingIfNeeded: rawValue >> 16), at: 0)
        octets.storeBigEndian(UInt16(truncatingIfNeeded: rawValue), at: 4)
    }

    public static let broadcast = MACAddress(rawValue: 0xFFFF_FFFF_FFFF)
    public static let zero = MACAddress(rawValue: 0)

    /// Whether the I/G bit is set: a group address, the broadcast address included.
    @inlinable @inline(__always)
    public var isMulticast: Bool { rawValue & 0x0100_0000_0000 != 0 }

    @inlinable @inline(__always)
    public var isBroadcast: Bool { rawValue == 0xFFFF_FFFF_FFFF }

    @inlinable @inline(__always)
    public var isZero: Bool { rawValue == 0 }

    /// Whether the U/L bit is set: an address that no vendor assigned.
    @inlinable @inline(__always)
    public var isLocallyAdministered: Bool { rawValue & 0x0200_0000_0000 != 0 }

    /// Whether a bridge must not forward frames to it: 01:80:C2:00:00:00 to 01:80:C2:00:00:0F
    /// (IEEE 802.1Q-2018 clause 8.6.3, table 8-1).
    @inlinable @inline(__always)
    public var isReserved: Bool { rawValue & ~0xF == 0x0180_C200_0000 }
}

extension MACAddress: Comparable {
    @inlinable
    public static func < (left: MACAddress, right: MACAddress) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension MACAddress: LosslessStringConvertible {
    /// Accepts `02:00:00:00:00:01`, `02-00-00-00-00-01` and `0200.0000.0001`, in either case.
    public init?(_ description: String) {
        let text = description.utf8
        let dotted = text.count == 14
        guard dotted || text.count == 17 else { return nil }
        let stride = dotted ? 5 : 3
        var separator: UInt8?
        var value: UInt64 = 0
        for (index, character) in text.enumerated() {
            if index % stride == stride - 1 {
                guard separator == nil || separator == character else { return nil }
                separator = character
            } else {
                guard let digit = hexDigitValue(character) else { return nil }
                value = value << 4 | UInt64(digit)
            }
        }
        switch separator {
        case UInt8(ascii: "."): guard dotted else { return nil }
        case UInt8(ascii: ":"), UInt8(ascii: "-"): guard !dotted else { return nil }
        default: return nil
        }
        self.rawValue = value
    }

    /// Six lower-case pairs with colons.
    public var description: String {
        var text = ""
        text.reserveCapacity(17)
        for shift in stride(from: 40, through: 0, by: -8) {
            appendHex(rawValue >> UInt64(shift) & 0xFF, digitCount: 2, to: &text)
            if shift > 0 { text.append(":") }
        }
        return text
    }
}

extension MACAddress: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decodeText(
            from: decoder, expecting: "a MAC address such as 02:00:00:00:00:01")
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
