/// A VLAN identifier, 1 to 4094 (IEEE 802.1Q-2018 clause 9.6, table 9-2: 0 means "priority tagged"
/// and 4095 is reserved, so neither names a VLAN).
@frozen
public struct VLANID: Hashable, Sendable {
    public let rawValue: UInt16

    @inlinable @inline(__always)
    public init?(_ rawValue: UInt16) {
        guard rawValue &- 1 < 4094 else { return nil }
        self.rawValue = rawValue
    }

    @inlinable
    public init?(_ number: Int) {
        guard let rawValue = UInt16(exactly: number) else { return nil }
        self.init(rawValue)
    }
}

extension VLANID: Comparable {
    @inlinable
    public static func < (left: VLANID, right: VLANID) -> Bool { left.rawValue < right.rawValue }
}

extension VLANID: LosslessStringConvertible {
    public init?(_ description: String) {
        guard let number = decimalValue(description[...].utf8, limit: 4094) else { return nil }
        self.init(number)
    }

    public var description: String { String(rawValue) }
}

extension VLANID: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let number = try container.decode(Int.self)
        guard let identifier = VLANID(number) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(number) is not a VLAN ID from 1 to 4094")
        }
        self = identifier
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}
