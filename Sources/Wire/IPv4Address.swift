/// An IPv4 address; the first octet is the most significant byte of `rawValue`.
@frozen
public struct IPv4Address: Hashable, Sendable {
    public let rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        rawValue = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    /// The four octets in network order.
    public var octets: [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: rawValue >> UInt32($0)) }
    }

    /// 224.0.0.0/4 (RFC 5771).
    @inlinable
    public var isMulticast: Bool { rawValue >> 28 == 0xE }

    /// 127.0.0.0/8 (RFC 1122 section 3.2.1.3).
    @inlinable
    public var isLoopback: Bool { rawValue >> 24 == 127 }

    /// 0.0.0.0.
    @inlinable
    public var isUnspecified: Bool { rawValue == 0 }
}

extension IPv4Address: Comparable {
    @inlinable
    public static func < (left: IPv4Address, right: IPv4Address) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension IPv4Address: LosslessStringConvertible {
    /// Accepts exactly four decimal octets; a leading zero, which some read as octal, is refused.
    public init?(_ description: String) {
        self.init(description[...])
    }

    init?(_ text: Substring) {
        var value: UInt32 = 0
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        for part in parts {
            guard let octet = decimalValue(part, limit: 255) else { return nil }
            value = value << 8 | UInt32(octet)
        }
        rawValue = value
    }

    public var description: String {
        "\(rawValue >> 24).\(rawValue >> 16 & 0xFF).\(rawValue >> 8 & 0xFF).\(rawValue & 0xFF)"
    }
}

extension IPv4Address: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decodeText(from: decoder, expecting: "an IPv4 address such as 192.0.2.1")
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
