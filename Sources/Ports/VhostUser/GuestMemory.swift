/// A guest's memory as a front-end shares it: regions of guest-physical addresses, mapped here.
///
/// Immutable: another table of regions is another object, and a port goes over to it between two
/// bursts. Every address that a guest names is translated here and nowhere else, and a range is
/// translated only as far as one region holds it: what lies outside of all regions has no pointer.
/// Who made the regions (``GuestMapping``) unmaps them when the last table that has them is gone.
///
/// Cost: a compare for the region that served last, a scan of all (there are few) otherwise.
package final class GuestMemory: @unchecked Sendable {
    // @unchecked: constant after init; `last` is a hint of the one worker that uses the table.

    /// One region. Addresses and sizes in bytes; the ranges do not wrap around.
    package struct Region {
        /// Where the guest sees it: what descriptors name.
        package var guestAddress: UInt64
        /// Where the front-end sees it: what ring addresses name.
        package var frontEndAddress: UInt64
        package var byteCount: UInt64
        package var host: UnsafeMutableRawPointer

        package init(
            guestAddress: UInt64, frontEndAddress: UInt64, byteCount: UInt64,
            host: UnsafeMutableRawPointer
        ) {
            self.guestAddress = guestAddress
            self.frontEndAddress = frontEndAddress
            self.byteCount = byteCount
            self.host = host
        }
    }

    package let regionCount: Int
    private let regions: UnsafeMutablePointer<Region>
    private var last = 0
    /// Keeps the mappings alive.
    private let owners: [AnyObject]

    /// - Precondition: no region wraps around the end of an address space; ranges do not overlap.
    package init(_ list: [Region], keeping owners: [AnyObject] = []) {
        regionCount = list.count
        regions = .allocate(capacity: max(list.count, 1))
        regions.initialize(from: list, count: list.count)
        self.owners = owners
    }

    deinit { regions.deallocate() }

    package subscript(place: Int) -> Region { regions[place] }

    /// The bytes from a guest-physical address on, as many of `byteCount` as one region holds; nil
    /// when none of them is shared. A range may go on in an adjacent region: ask again for the rest.
    @inline(__always)
    package func translate(
        _ address: UInt64, _ byteCount: Int
    ) -> UnsafeMutableRawBufferPointer? {
        // The first of these two compares answers nearly always. Subtraction wraps: an address below
        // the region becomes an offset beyond it.
        guard last < regionCount else { return nil }
        let offset = address &- regions[last].guestAddress
        if offset < regions[last].byteCount {
            return slice(regions[last], offset, byteCount)
        }
        return search(address, byteCount)
    }

    @inline(never)
    private func search(_ address: UInt64, _ byteCount: Int) -> UnsafeMutableRawBufferPointer? {
        for place in 0..<regionCount {
            let offset = address &- regions[place].guestAddress
            guard offset < regions[place].byteCount else { continue }
            last = place
            return slice(regions[place], offset, byteCount)
        }
        return nil
    }

    @inline(__always)
    private func slice(
        _ region: Region, _ offset: UInt64, _ byteCount: Int
    ) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: region.host + Int(offset),
            count: Int(min(UInt64(byteCount), region.byteCount &- offset)))
    }

    /// The bytes at an address of the front-end's, all of them in one region; nil otherwise. For the
    /// rings themselves, which must lie in one piece.
    package func ring(at address: UInt64, _ byteCount: Int) -> UnsafeMutableRawPointer? {
        for place in 0..<regionCount {
            let offset = address &- regions[place].frontEndAddress
            guard offset < regions[place].byteCount,
                UInt64(byteCount) <= regions[place].byteCount - offset
            else { continue }
            return regions[place].host + Int(offset)
        }
        return nil
    }
}
