import Dataplane

/// Tells flows apart, so that each keeps to one queue of the driver's and to its order there.
///
/// Addresses, and ports of TCP and UDP where they lie at the usual place; what is not IP goes by its
/// MAC addresses. Cheap rather than even: it is reckoned per frame of a driver with several queues.
enum EntryFlow {
    @inline(__always)
    static func hash(_ entry: TransmitEntry) -> UInt32 {
        let addresses = UnsafeRawPointer(entry.head + SlotSize.vnetHeader)
        // A tagged copy goes on with its type in the second piece.
        let isWhole = entry.bodyByteCount == 0
        let type = isWhole ? addresses + 12 : UnsafeRawPointer(entry.body)
        let count = isWhole ? entry.headByteCount - SlotSize.vnetHeader - 12 : entry.bodyByteCount
        var word: UInt64
        switch count >= 2 ? UInt16(bigEndian: type.loadUnaligned(as: UInt16.self)) : 0 {
        case 0x0800 where count >= 26:
            word = type.loadUnaligned(fromByteOffset: 14, as: UInt64.self)
            let fragment = UInt16(
                bigEndian: type.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
            // No options, no fragment.
            if type.load(fromByteOffset: 2, as: UInt8.self) == 0x45, fragment & 0x3FFF == 0,
                hasPorts(type.load(fromByteOffset: 11, as: UInt8.self))
            {
                word ^= mix(UInt64(type.loadUnaligned(fromByteOffset: 22, as: UInt32.self)))
            }
        case 0x86DD where count >= 46:
            word = mix(type.loadUnaligned(fromByteOffset: 10, as: UInt64.self))
            word = mix(word ^ type.loadUnaligned(fromByteOffset: 18, as: UInt64.self))
            word = mix(word ^ type.loadUnaligned(fromByteOffset: 26, as: UInt64.self))
            word ^= type.loadUnaligned(fromByteOffset: 34, as: UInt64.self)
            if hasPorts(type.load(fromByteOffset: 8, as: UInt8.self)) {
                word ^= mix(UInt64(type.loadUnaligned(fromByteOffset: 42, as: UInt32.self)))
            }
        default:
            word = addresses.loadUnaligned(as: UInt64.self)
            word ^= UInt64(addresses.loadUnaligned(fromByteOffset: 8, as: UInt32.self)) << 16
        }
        return UInt32(truncatingIfNeeded: mix(word) >> 32)
    }

    @inline(__always)
    private static func hasPorts(_ next: UInt8) -> Bool { next == 6 || next == 17 }

    @inline(__always)
    private static func mix(_ word: UInt64) -> UInt64 {
        let product = word &* 0x9E37_79B9_7F4A_7C15
        return product ^ (product >> 29)
    }
}
