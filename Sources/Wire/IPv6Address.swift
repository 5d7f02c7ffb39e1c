/// An IPv6 address as two 64-bit words; the first octet is the most significant byte of `high`.
@frozen
public struct IPv6Address: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64

    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The sixteen octets in network order.
    public var octets: [UInt8] {
        [high, low].flatMap { word in
            stride(from: 56, through: 0, by: -8).map {
                UInt8(truncatingIfNeeded: word >> UInt64($0))
            }
        }
    }

    /// ff00::/8 (RFC 4291 section 2.7).
    @inlinable
    public var isMulticast: Bool { high >> 56 == 0xFF }

    /// fe80::/10 (RFC 4291 section 2.5.6).
    @inlinable
    public var isLinkLocal: Bool { high >> 54 == 0x3FA }

    /// ::1.
    @inlinable
    public var isLoopback: Bool { high == 0 && low == 1 }

    /// ::.
    @inlinable
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// ::ffff:0:0/96 (RFC 4291 section 2.5.5.2).
    @inlinable
    public var isIPv4Mapped: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// The group at `index`, 0 to 7.
    private func group(_ index: Int) -> UInt64 {
        (index < 4 ? high : low) >> UInt64(16 * (3 - index % 4)) & 0xFFFF
    }
}

extension IPv6Address: Comparable {
    @inlinable
    public static func < (left: IPv6Address, right: IPv6Address) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension IPv6Address: LosslessStringConvertible {
    /// Accepts every form of RFC 4291 section 2.2: groups, one `::`, a dotted IPv4 tail. Zones
    /// (`%eth0`) are refused: they mean nothing on another host.
    public init?(_ description: String) {
        self.init(description[...])
    }

    init?(_ text: Substring) {
        // Each side of the `::`; without one, everything is the first side.
        let colon = UInt8(ascii: ":")
        let characters = text.utf8
        var gap: Substring.UTF8View.Index?
        var index = characters.startIndex
        while index < characters.endIndex {
            let next = characters.index(after: index)
            if next < characters.endIndex, characters[index] == colon, characters[next] == colon {
                guard gap == nil else { return nil }
                gap = index
                // Past the pair, so that a third colon is seen as an empty group.
                index = characters.index(after: next)
            } else {
                index = next
            }
        }
        var groups: [UInt16] = []
        if let gap {
            let tail = characters.index(gap, offsetBy: 2)
            var after: [UInt16] = []
            guard Self.append(text[..<gap], to: &groups, allowsIPv4: false),
                Self.append(text[tail...], to: &after, allowsIPv4: true),
                groups.count + after.count <= 7
            else { return nil }
            groups += Array(repeating: 0, count: 8 - groups.count - after.count)
            groups += after
        } else {
            guard Self.append(text, to: &groups, allowsIPv4: true) else { return nil }
        }
        guard groups.count == 8 else { return nil }
        self.init(
            high: groups[..<4].reduce(0) { $0 << 16 | UInt64($1) },
            low: groups[4...].reduce(0) { $0 << 16 | UInt64($1) })
    }

    /// Appends the groups of one side of the `::`; false when one is malformed.
    private static func append(
        _ text: Substring, to groups: inout [UInt16], allowsIPv4: Bool
    ) -> Bool {
        guard !text.isEmpty else { return true }
        let parts = text.split(separator: ":", maxSplits: 9, omittingEmptySubsequences: false)
        for (position, part) in parts.enumerated() {
            if allowsIPv4, position == parts.count - 1, part.utf8.contains(UInt8(ascii: ".")) {
                guard let tail = IPv4Address(part) else { return false }
                groups.append(UInt16(truncatingIfNeeded: tail.rawValue >> 16))
                groups.append(UInt16(truncatingIfNeeded: tail.rawValue))
                continue
            }
            guard (1...4).contains(part.utf8.count) else { return false }
            var value: UInt16 = 0
            for character in part.utf8 {
                guard let digit = hexDigitValue(character) else { return false }
                value = value << 4 | UInt16(digit)
            }
            groups.append(value)
        }
        return true
    }

    /// The canonical form of RFC 5952: lower case, no leading zeros, the first longest run of two
    /// or more zero groups as `::`, and IPv4-mapped addresses with a dotted tail.
    public var description: String {
        if isIPv4Mapped {
            return "::ffff:\(IPv4Address(rawValue: UInt32(truncatingIfNeeded: low)))"
        }
        var longest = 0..<0
        var start = 0
        for index in 0...8 where index == 8 || group(index) != 0 {
            if index - start >= 2, index - start > longest.count { longest = start..<index }
            start = index + 1
        }
        var text = ""
        for index in 0..<8 {
            if longest.contains(index) {
                if index == longest.lowerBound { text += "::" }
                continue
            }
            if index > 0, index != longest.upperBound || longest.isEmpty { text += ":" }
            appendHex(group(index), digitCount: 1, to: &text)
        }
        return text
    }
}

extension IPv6Address: Codable {
    public init(from decoder: any Decoder) throws {
        self = try decodeText(from: decoder, expecting: "an IPv6 address such as 2001:db8::1")
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
