/// Memory that another process shares, mapped here for as long as this lives.
protocol SharedMemory: AnyObject {
    var bytes: UnsafeMutableRawPointer { get }
    var byteCount: Int { get }
}

/// The regions of guest memory that a front-end has told of, each mapped.
///
/// What it decides: whether a region may be added at all. Addresses must not wrap around or overlap
/// another region's, in the guest's view or in the front-end's; sizes have a limit, so that no
/// front-end can use up the address space that all ports have in common. Whether the file is as large
/// as the region, and may be mapped, is the mapping's business.
///
/// It is a set. QEMU 7.2 adds and removes each region once for every queue pair, so a region that is
/// there already is mapped anew in place of the former, and to remove one that is not there is done.
///
/// A change makes a new ``GuestMemory`` of the same mappings: a region that stays keeps its address,
/// so that rings in it go on. Pure; mapping is a closure.
struct GuestMemoryTable {
    typealias Map =
        (_ descriptor: PassedDescriptor, _ offset: UInt64, _ byteCount: UInt64)
        throws(VhostFault) -> any SharedMemory

    /// Regions at most. Front-ends have one or two, and one more for each memory module that was
    /// plugged in; a worker looks through all of them for an address.
    static let regionLimit = 128
    /// Bytes of all regions together: 4 TiB.
    static let byteLimit: UInt64 = 1 << 42

    private struct Entry {
        var region: VhostMemoryRegion
        var mapping: any SharedMemory
    }

    private var entries: [Entry] = []

    var isEmpty: Bool { entries.isEmpty }

    /// Maps and adds a region; all or nothing.
    mutating func add(
        _ region: VhostMemoryRegion, _ descriptor: PassedDescriptor, map: Map
    ) throws(VhostFault) {
        let others = entries.filter { !$0.region.isSame(as: region) }
        try check(region, among: others)
        let mapping = try map(descriptor, region.offset, region.regionByteCount)
        precondition(mapping.byteCount == Int(region.regionByteCount))
        entries = others + [Entry(region: region, mapping: mapping)]
    }

    /// Removes the region of these addresses and this size, if there is one.
    mutating func remove(_ region: VhostMemoryRegion) {
        entries.removeAll { $0.region.isSame(as: region) }
    }

    /// The table for translating, which keeps its mappings; nil without any region.
    func memory() -> GuestMemory? {
        guard !entries.isEmpty else { return nil }
        let regions = entries.map {
            GuestMemory.Region(
                guestAddress: $0.region.guestAddress,
                frontEndAddress: $0.region.frontEndAddress,
                byteCount: $0.region.regionByteCount, host: $0.mapping.bytes)
        }
        return GuestMemory(regions, keeping: entries.map { $0.mapping })
    }

    private func check(
        _ region: VhostMemoryRegion, among entries: [Entry]
    ) throws(VhostFault) {
        guard entries.count < GuestMemoryTable.regionLimit else {
            throw VhostFault(
                "\(describe(region)) is one more than the \(GuestMemoryTable.regionLimit) that a "
                    + "port takes")
        }
        guard region.regionByteCount > 0 else { throw VhostFault("\(describe(region)) is empty") }
        let others = entries.reduce(0) { $0 + $1.region.regionByteCount }
        guard region.regionByteCount <= GuestMemoryTable.byteLimit - others else {
            throw VhostFault(
                "\(describe(region)) makes more than 4 TiB, which is all that a port maps")
        }
        let last = region.regionByteCount - 1
        guard region.guestAddress <= .max - last, region.frontEndAddress <= .max - last,
            region.offset <= .max - last
        else {
            throw VhostFault("\(describe(region)) goes beyond the end of the address space")
        }
        for entry in entries {
            guard
                !overlaps(
                    region.guestAddress, last, entry.region.guestAddress,
                    entry.region.regionByteCount - 1)
            else {
                throw VhostFault(
                    "\(describe(region)) overlaps \(describe(entry.region)) as the guest sees them")
            }
            guard
                !overlaps(
                    region.frontEndAddress, last, entry.region.frontEndAddress,
                    entry.region.regionByteCount - 1)
            else {
                throw VhostFault(
                    "\(describe(region)) overlaps \(describe(entry.region)) as the front-end sees "
                        + "them")
            }
        }
    }

    /// Of ranges that do not wrap, given by their first byte and the distance to their last.
    private func overlaps(_ a: UInt64, _ aLast: UInt64, _ b: UInt64, _ bLast: UInt64) -> Bool {
        a <= b + bLast && b <= a + aLast
    }

    private func describe(_ region: VhostMemoryRegion) -> String {
        "the memory region of \(region.regionByteCount) bytes at guest address 0x"
            + String(region.guestAddress, radix: 16)
    }
}
