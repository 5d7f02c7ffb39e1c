import Wire

/// An address on the physical network: IPv6, or IPv4 in its mapped form ::ffff:0:0/96 (RFC 4291
/// §2.5.5.2), so that one comparison serves both families.
package struct UnderlayAddress: Hashable, Sendable, BitwiseCopyable {
    /// Octets 0 to 7, the first most significant.
    package var high: UInt64
    /// Octets 8 to 15.
    package var low: UInt64

    @inline(__always)
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address as a number in host order.
    @inline(__always)
    package init(ipv4 address: UInt32) {
        self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(address))
    }

    /// Whether this is an IPv4 address.
    @inline(__always)
    package var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// The IPv4 address as a number in host order; meaningful when ``isIPv4`` holds.
    @inline(__always)
    package var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

    package init(_ address: IPAddress) {
        switch address {
        case .v4(let address): self.init(ipv4: address.rawValue)
        case .v6(let address): self.init(high: address.high, low: address.low)
        }
    }
}
