/// An interface's address with the length of its prefix, such as `10.10.0.1/24`: the host bits are
/// kept, which is what tells it from a prefix.
public struct InterfaceAddress: Hashable, Sendable {
    public let address: IPAddress
    /// 0 to 32 or 0 to 128.
    public let prefixLength: Int

    /// Nil when the prefix is longer than the address.
    public init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...address.bitWidth).contains(prefixLength) else { return nil }
        self.address = address
        self.prefixLength = prefixLength
    }

    /// The prefix's first address: the host bits cleared.
    public var network: IPAddress {
        switch address {
        case .v4(let address):
            // A shift by the full width or more is defined to give 0.
            let mask = UInt32.max << UInt32(32 - prefixLength)
            return .v4(IPv4Address(rawValue: address.rawValue & mask))
        case .v6(let address):
            let highMask = UInt64.max << UInt64(max(0, 64 - prefixLength))
            let lowMask = UInt64.max << UInt64(min(64, 128 - prefixLength))
            return .v6(IPv6Address(high: address.high & highMask, low: address.low & lowMask))
        }
    }

    /// Whether `other` lies in the interface's prefix.
    public func contains(_ other: IPAddress) -> Bool {
        InterfaceAddress(other, prefixLength: prefixLength)?.network == network
            && other.bitWidth == address.bitWidth
    }
}

extension InterfaceAddress: LosslessStringConvertible {
    /// Accepts an IPv4 or IPv6 address, a slash and the prefix length, which is never implied.
    public init?(_ description: String) {
        let parts = description.split(
            separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]),
            let prefixLength = decimalValue(parts[1].utf8, limit: address.bitWidth)
        else { return nil }
        self.init(address, prefixLength: prefixLength)
    }

    public var description: String { "\(address)/\(prefixLength)" }
}

extension InterfaceAddress: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decodeText(
            from: decoder, expecting: "an address with a prefix length such as 10.10.0.1/24")
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
