import Wire

/// What an FDB entry is found by: bridge domain and MAC address in one 64-bit word.
///
///     63        48 47                                             0
///     ┌───────────┬────────────────────────────────────────────────┐
///     │  domain   │  MAC address, first octet most significant     │
///     └───────────┴────────────────────────────────────────────────┘
///
/// Domains count from 1, so that the word 0 means "no entry".
package struct FDBKey: Hashable, Sendable {
    package let word: UInt64

    @inline(__always)
    package init(word: UInt64) { self.word = word }

    @inline(__always)
    package init(domain: UInt16, address: UInt64) {
        word = UInt64(domain) << 48 | (address & 0xFFFF_FFFF_FFFF)
    }

    package init(domain: UInt16, address: MACAddress) {
        self.init(domain: domain, address: address.rawValue)
    }

    package var domain: UInt16 { UInt16(truncatingIfNeeded: word >> 48) }
    package var address: MACAddress { MACAddress(rawValue: word & 0xFFFF_FFFF_FFFF) }
}
