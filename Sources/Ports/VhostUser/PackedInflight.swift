/// Copies of the chains of a packed ring that were taken and not returned, in memory that outlives
/// the switch (vhost-user specification, "Inflight I/O tracking", QueueRegionPacked).
///
///     features 8, version 2, descriptors 2, free_head 2, old_free_head 2, used_idx 2,
///     old_used_idx 2, used_wrap 1, old_used_wrap 1, padding 7 (+3),
///     descriptors × (inflight 1, padding 1, next 2, last 2, num 2, counter 8,
///                    id 2, flags 2, length 4, address 8)
///
/// Entries that are not in use form a list. A chain takes as many from its front as it has
/// descriptors, and is known by its first. The `old_` fields are what the others were before the
/// batch that is being returned: a crash inside it is rolled back, unless the driver could see it.
/// As with ``SplitInflight``, program order is enough and nothing that is read is trusted.
struct PackedInflight: BitwiseCopyable {
    private let region: UnsafeMutableRawPointer
    private let size: Int
    /// Where the used descriptors ended at the start.
    let used: PackedRing.Cursor
    private var counter: UInt64 = 0
    /// The chains to be taken again, in the order in which they were taken first: the first entry of
    /// each, and how many it has.
    private let resubmit: UnsafeMutablePointer<(entry: UInt16, count: UInt16)>
    private(set) var resubmitCount = 0
    /// Descriptors of the ring that all of them take up.
    private(set) var resubmitSlots = 0

    private static let headerByteCount = 32
    private static let entryByteCount = 32
    private enum Field {
        static let version = 8
        static let descriptors = 10
        static let freeHead = 12
        static let oldFreeHead = 14
        static let used = 16
        static let oldUsed = 18
        static let usedWrap = 20
        static let oldUsedWrap = 21
    }
    private enum Entry {
        static let inflight = 0
        static let next = 2
        static let last = 4
        static let count = 6
        static let counter = 8
        static let idFlagsLength = 16
        static let address = 24
    }

    static func byteCount(size: Int) -> Int { headerByteCount + entryByteCount * size }

    /// Takes up a region, new or left behind; nil when it is another ring's.
    init?(
        _ region: UnsafeMutableRawPointer, size: Int, used: PackedRing.Cursor,
        descriptors: UnsafeMutableRawPointer
    ) {
        self.region = region
        self.size = size
        if region.word16(at: Field.version) == 0 {
            PackedInflight.format(region, size: size, used: used)
        }
        guard region.word16(at: Field.version) == 1,
            Int(region.word16(at: Field.descriptors)) == size
        else { return nil }
        // Each is read once: from here on only what was checked counts.
        let old = PackedInflight.cursor(region, Field.oldUsed, Field.oldUsedWrap)
        let new = PackedInflight.cursor(region, Field.used, Field.usedWrap)
        guard old.place < size, new.place < size else { return nil }
        var isCommitted = false
        if new != old {
            let flags = (descriptors + old.place * 16).word64(at: 8) >> 48
            isCommitted = !old.isAvailable(UInt16(truncatingIfNeeded: flags))
        }
        self.used = isCommitted ? new : old
        resubmit = .allocate(capacity: size)
        // What was not committed never happened.
        if !isCommitted {
            region.releaseWord16(region.word16(at: Field.oldFreeHead), at: Field.freeHead)
        }
        setUsed(self.used)
        commit()
    }

    /// Makes a region of zeros one that tracks nothing.
    private static func format(
        _ region: UnsafeMutableRawPointer, size: Int, used: PackedRing.Cursor
    ) {
        for place in 0..<size {
            (region + headerByteCount + entryByteCount * place).setWord16(
                UInt16(truncatingIfNeeded: place + 1), at: Entry.next)
        }
        for field in [Field.used, Field.oldUsed] {
            region.setWord16(UInt16(truncatingIfNeeded: used.place), at: field)
        }
        for field in [Field.usedWrap, Field.oldUsedWrap] {
            region.setWord8(used.wrap ? 1 : 0, at: field)
        }
        region.setWord16(UInt16(truncatingIfNeeded: size), at: Field.descriptors)
        region.releaseWord16(1, at: Field.version)
    }

    func deallocate() { resubmit.deallocate() }

    private func entry(_ place: Int) -> UnsafeMutableRawPointer {
        region + PackedInflight.headerByteCount + PackedInflight.entryByteCount * place
    }

    private static func cursor(
        _ region: UnsafeMutableRawPointer, _ place: Int, _ wrap: Int
    ) -> PackedRing.Cursor {
        let isWrapped = region.load(fromByteOffset: wrap, as: UInt8.self) & 1
        return PackedRing.Cursor(
            region.word16(at: place) & 0x7FFF | UInt16(isWrapped) << 15)
    }

    private func setUsed(_ cursor: PackedRing.Cursor) {
        region.releaseWord16(UInt16(truncatingIfNeeded: cursor.place), at: Field.used)
        region.setWord8(cursor.wrap ? 1 : 0, at: Field.usedWrap)
    }

    /// Makes what is old as what is new.
    private func commit() {
        region.releaseWord16(region.word16(at: Field.freeHead), at: Field.oldFreeHead)
        region.releaseWord16(region.word16(at: Field.used), at: Field.oldUsed)
        region.setWord8(
            region.load(fromByteOffset: Field.usedWrap, as: UInt8.self), at: Field.oldUsedWrap)
    }

    /// Finds the chains that are still marked; false when they contradict each other.
    mutating func recover() -> Bool {
        // A free entry's mark is left from a chain whose return was finished but for that.
        var free = Int(region.word16(at: Field.freeHead))
        for _ in 0..<size where free < size {
            entry(free).setWord8(0, at: Entry.inflight)
            free = Int(entry(free).word16(at: Entry.next))
        }
        var found: [(counter: UInt64, place: Int, count: Int)] = []
        for place in 0..<size where entry(place).word64(at: 0) & 0xFF == 1 {
            let count = Int(entry(place).word16(at: Entry.count))
            guard count > 0, count <= size - resubmitSlots else { return false }
            resubmitSlots += count
            found.append((entry(place).word64(at: Entry.counter), place, count))
        }
        // Modular: counters of one life lie close together.
        found.sort { Int64(bitPattern: $0.counter &- $1.counter) < 0 }
        for (place, chain) in found.enumerated() {
            (resubmit + place).initialize(
                to: (
                    UInt16(truncatingIfNeeded: chain.place), UInt16(truncatingIfNeeded: chain.count)
                ))
        }
        resubmitCount = found.count
        counter = (found.last?.counter ?? 0) &+ 1
        return true
    }

    // MARK: Chains to be taken again

    /// The head of such a chain. Its `next` is its first entry here.
    func head(_ place: Int) -> ChainHead {
        let first = Int(resubmit[place].entry)
        let word = entry(first).word64(at: Entry.idFlagsLength)
        return ChainHead(
            address: entry(first).word64(at: Entry.address),
            byteCount: UInt32(truncatingIfNeeded: word >> 32),
            flags: UInt16(truncatingIfNeeded: word >> 16), id: UInt16(truncatingIfNeeded: word),
            next: resubmit[place].entry, slots: resubmit[place].count, isResubmitted: true,
            bytes: nil)
    }

    /// The descriptor after that of an entry.
    func descriptor(after current: UInt16) -> NextDescriptor {
        guard Int(current) < size else { return .fault(.inflightRegion) }
        let next = entry(Int(current)).word16(at: Entry.next)
        guard Int(next) < size else { return .fault(.inflightRegion) }
        let word = entry(Int(next)).word64(at: Entry.idFlagsLength)
        return .descriptor(
            address: entry(Int(next)).word64(at: Entry.address),
            byteCount: UInt32(truncatingIfNeeded: word >> 32),
            flags: UInt16(truncatingIfNeeded: word >> 16), next: next,
            id: UInt16(truncatingIfNeeded: word))
    }

    // MARK: Tracking

    /// Copies a chain that is being taken: its first entry; nil when the region is damaged.
    mutating func note(_ head: ChainHead, in descriptors: UnsafeMutableRawPointer) -> UInt16? {
        let first = region.word16(at: Field.freeHead)
        guard Int(first) < size else { return nil }
        let start = entry(Int(first))
        start.releaseWord16(0, at: Entry.count)
        start.releaseWord64(counter, at: Entry.counter)
        counter &+= 1
        start.setWord8(1, at: Entry.inflight)
        var place = Int(head.next)
        for count in 1...max(head.slots, 1) {
            let free = region.word16(at: Field.freeHead)
            guard Int(free) < size else { return nil }
            let descriptor = descriptors + place * 16
            let word = descriptor.word64(at: 8)
            // Length, ID, flags there; ID, flags, length here.
            entry(Int(free)).releaseWord64(word >> 32 | word << 32, at: Entry.idFlagsLength)
            entry(Int(free)).releaseWord64(descriptor.word64(at: 0), at: Entry.address)
            if count == head.slots { start.releaseWord16(free, at: Entry.last) }
            start.releaseWord16(count, at: Entry.count)
            region.releaseWord16(entry(Int(free)).word16(at: Entry.next), at: Field.freeHead)
            place = place + 1 == size ? 0 : place + 1
        }
        region.releaseWord16(region.word16(at: Field.freeHead), at: Field.oldFreeHead)
        return first
    }

    /// Before chains are returned.
    func link(
        _ elements: UnsafeMutablePointer<UsedElement>, count: Int, used: PackedRing.Cursor
    ) {
        for place in 0..<count {
            let first = Int(elements[place].entry)
            let last = Int(entry(first).word16(at: Entry.last))
            guard last < size else { continue }
            entry(last).releaseWord16(region.word16(at: Field.freeHead), at: Entry.next)
            region.releaseWord16(elements[place].entry, at: Field.freeHead)
        }
        setUsed(used)
    }

    /// After they were.
    func clear(_ elements: UnsafeMutablePointer<UsedElement>, count: Int) {
        for place in 0..<count {
            entry(Int(elements[place].entry)).setWord8(0, at: Entry.inflight)
        }
        commit()
    }
}
