import Synchronization
import Wire

/// The forwarding database: which port each MAC address of each bridge domain is behind.
///
/// Theory of operation
///
/// One table serves all workers. It is open addressing with linear probing over 16-byte entries
/// (key, location, tick) at no more than half load, hashed with a secret seed so that an attacker
/// cannot aim at one chain. One thread, the *owner*, changes the structure: learns, moves, deletes,
/// ages. Every other thread reads without a lock and validates a sequence number that is odd while
/// the structure changes; refreshing an entry's tick is a relaxed store that any worker may do.
///
/// Kinds. A *dynamic* entry is learned, moves with its source and ages. A *sticky* entry is learned
/// on a port declared sticky: it ages, but stays with that port until then. A *static* entry is
/// configured: it neither ages nor moves and does not count towards any limit.
///
/// Limits and fairness. The switch and each port have a limit of learned entries. A port at its own
/// limit gives up its own oldest entry for a new one. When the whole table is at its limit the port
/// with the most learned entries gives one up, so that whoever floods the switch with addresses
/// evicts his own and a neighbour's hosts stay known. "Oldest" is decided by a second-chance walk of
/// the port's list in order of learning: an entry refreshed since it was listed goes to the end
/// once. Evictions are counted.
///
/// Ageing. Ticks are tenths of a second. A lookup treats an expired entry as absent; the sweep, a
/// slice of the table at a time, only reclaims its room.
///
/// Not here: who may learn where (VLAN policy decides) and what happens to the frame.
///
/// Cost: lookup one or two cache lines; learn about five; no allocation after init.
package final class FDB: @unchecked Sendable {
    // @unchecked: all stored properties are constant pointers. What they point to is either atomic
    // or touched by the owner thread only, as marked.

    /// What a 16-byte table entry holds. Key 0 is an empty place.
    struct Slot: ~Copyable {
        let key: Atomic<UInt64>
        /// Port number in the low 16 bits, ``Kind`` in the next 8.
        let location: Atomic<UInt32>
        /// When the address was last heard as a source.
        let tick: Atomic<UInt32>
    }

    package enum Kind: UInt8, Sendable {
        case dynamic = 0
        case sticky = 1
        case `static` = 2
    }

    /// Neighbours in a port's list, in order of learning; owner only.
    struct Link {
        var previous: Int32
        var next: Int32
        /// Tick at which the entry was (re-)listed.
        var listed: UInt32
    }

    /// The learned entries of one port; owner only.
    struct PortList {
        var head: Int32
        var tail: Int32
        var count: UInt32
        var limit: UInt32
    }

    /// Owner-only bookkeeping, and counters that others read.
    struct State: ~Copyable {
        var sweepCursor = 0
        /// The port that was last found to have the most entries, how often it may still be
        /// taken for it, and with how many entries at least.
        var busiestPort = 0
        var busiestBudget: UInt32 = 0
        var busiestFloor: UInt32 = 0
        /// Where a flush in progress goes on.
        var flushCursor = 0
        var sweepTick: UInt32 = 0
        let sequence = Atomic<UInt32>(0)
        let learnedCount = Atomic<Int>(0)
        let staticCount = Atomic<Int>(0)
        let ageingTicks = Atomic<UInt32>(FDB.defaultAgeingTicks)
        let limit = Atomic<Int>(0)
        let learned = Atomic<UInt64>(0)
        let moved = Atomic<UInt64>(0)
        let evicted = Atomic<UInt64>(0)
        let aged = Atomic<UInt64>(0)
        let refused = Atomic<UInt64>(0)
    }

    /// Ticks in a second.
    package static let ticksPerSecond: UInt32 = 10
    /// 300 s, the recommended ageing time of IEEE 802.1Q-2022 table 8-8.
    package static let defaultAgeingTicks: UInt32 = 300 * ticksPerSecond
    /// Learned entries that a switch's table has room for.
    package static let defaultCapacity = 1_048_576
    /// The largest limit with which pages come on first use. Beyond it a table that is used touches
    /// them all, and the first frames of its life would wait for them.
    static let sparseLimit = 131_072
    static let none: Int32 = -1

    package let capacity: Int
    /// Ports are numbered below this.
    package let portCapacity: Int
    let mask: Int
    let seed: UInt64
    private let memory: any ZeroedMemory
    let slots: UnsafeMutablePointer<Slot>
    let links: UnsafeMutablePointer<Link>
    let lists: UnsafeMutablePointer<PortList>
    let state: UnsafeMutablePointer<State>

    /// - Parameter maximumEntries: the largest limit that ``setLimit(_:)`` may be given, and the
    ///   room for static entries beside it; the table has at least twice as many places.
    /// - Parameter memory: where the table comes from; the switch passes memory that the kernel
    ///   supplies page by page, so that a large limit costs nothing until it is used.
    package init(
        maximumEntries: Int, portCapacity: Int, seed: UInt64? = nil,
        memory: any ZeroedMemory = HeapMemory()
    ) {
        var size = 1024
        while size < maximumEntries * 2 { size *= 2 }
        capacity = size
        mask = size - 1
        self.portCapacity = portCapacity
        self.seed = seed ?? UInt64.random(in: .min ... .max)
        self.memory = memory
        slots = memory.allocate(byteCount: size * MemoryLayout<Slot>.stride)
            .bindMemory(to: Slot.self, capacity: size)
        // Never read before it is written: a link is set when its entry is listed.
        links = memory.allocate(byteCount: size * MemoryLayout<Link>.stride)
            .bindMemory(to: Link.self, capacity: size)
        lists = .allocate(capacity: portCapacity)
        lists.initialize(
            repeating: PortList(head: -1, tail: -1, count: 0, limit: .max), count: portCapacity)
        state = .allocate(capacity: 1)
        state.initialize(to: State())
        state.pointee.limit.store(min(maximumEntries, size / 2), ordering: .relaxed)
    }

    deinit {
        memory.release(slots, byteCount: capacity * MemoryLayout<Slot>.stride)
        memory.release(links, byteCount: capacity * MemoryLayout<Link>.stride)
        lists.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
    }

    // MARK: Configuration

    /// Learned entries at most in the whole switch; cannot exceed half the table. A large limit makes
    /// the whole table resident, 56 MiB at the default capacity, which may take tens of milliseconds;
    /// hence not on a worker's thread.
    package func setLimit(_ limit: Int) {
        if limit > FDB.sparseLimit {
            memory.makeResident(slots, byteCount: capacity * MemoryLayout<Slot>.stride)
            memory.makeResident(links, byteCount: capacity * MemoryLayout<Link>.stride)
        }
        state.pointee.limit.store(max(1, min(limit, capacity / 2)), ordering: .relaxed)
    }

    /// Learned entries at most behind `port`. Owner only.
    ///
    /// Evicts up to `budget` entries that are too many; false when there are more, for which it is
    /// to be called again.
    package func setLimit(_ limit: UInt32, port: UInt16, budget: Int = .max) -> Bool {
        let list = lists + Int(port)
        list.pointee.limit = max(1, limit)
        var remaining = budget
        while list.pointee.count > list.pointee.limit, remaining > 0 {
            evict(from: Int(port))
            remaining -= 1
        }
        return list.pointee.count <= list.pointee.limit
    }

    /// How long an unheard address stays known.
    package func setAgeing(ticks: UInt32) {
        state.pointee.ageingTicks.store(max(1, ticks), ordering: .relaxed)
    }

    // MARK: Lookup

    /// What the table says of an address.
    package struct Location: Sendable {
        package let port: UInt16
        package let kind: Kind
        package let tick: UInt32
        let index: Int32
    }

    /// The table as a burst's look-ups see it.
    @inline(__always)
    var table: FDBTable {
        FDBTable(
            slots: slots, mask: UInt32(truncatingIfNeeded: mask), seed: seed, state: state,
            ageingTicks: ageingTicks)
    }

    /// The place where the search for `key` begins.
    @inline(__always)
    func home(_ key: UInt64) -> Int { Int(table.home(key)) }

    /// The place of `key`, or -1. Owner, or a reader that validates the sequence.
    func find(_ key: UInt64) -> Int { table.find(key, from: table.home(key)) }

    /// Looks an address up; nil when it is unknown or expired at `now`.
    ///
    /// - Parameter isOwner: whether the calling thread is the owner, which needs no validation.
    package func lookup(_ key: FDBKey, now: UInt32, isOwner: Bool) -> Location? {
        table.lookup(key.word, from: table.home(key.word), now: now, isOwner: isOwner)
    }

    func isExpired(_ tick: UInt32, now: UInt32) -> Bool { table.isExpired(tick, now: now) }

    // MARK: Counts, for any thread

    package var learnedCount: Int { state.pointee.learnedCount.load(ordering: .relaxed) }
    package var staticCount: Int { state.pointee.staticCount.load(ordering: .relaxed) }
    package var ageingTicks: UInt32 { state.pointee.ageingTicks.load(ordering: .relaxed) }
    package var limit: Int { state.pointee.limit.load(ordering: .relaxed) }

    /// Totals since the start.
    package struct Totals: Sendable {
        package let learned: UInt64
        package let moved: UInt64
        package let evicted: UInt64
        package let aged: UInt64
        package let refused: UInt64
    }

    package var totals: Totals {
        Totals(
            learned: state.pointee.learned.load(ordering: .relaxed),
            moved: state.pointee.moved.load(ordering: .relaxed),
            evicted: state.pointee.evicted.load(ordering: .relaxed),
            aged: state.pointee.aged.load(ordering: .relaxed),
            refused: state.pointee.refused.load(ordering: .relaxed))
    }

    /// One row of a listing.
    package struct Entry: Sendable, Equatable {
        package let key: FDBKey
        package let port: UInt16
        package let kind: Kind
        /// Tenths of a second since the address was last heard; 0 for a static entry.
        package let ageTicks: UInt32
    }

    /// Copies the table's live entries, for a listing. Any thread; entries that change meanwhile may
    /// be missing or appear twice.
    package func entries(now: UInt32) -> [Entry] {
        var result: [Entry] = []
        result.reserveCapacity(learnedCount + staticCount)
        for index in 0..<capacity {
            let key = slots[index].key.load(ordering: .acquiring)
            guard key != 0 else { continue }
            let word = slots[index].location.load(ordering: .relaxed)
            let tick = slots[index].tick.load(ordering: .acquiring)
            guard slots[index].key.load(ordering: .relaxed) == key else { continue }
            let kind = Kind(rawValue: UInt8(truncatingIfNeeded: word >> 16)) ?? .dynamic
            if kind != .static, isExpired(tick, now: now) { continue }
            let age = Int32(bitPattern: now &- tick)
            result.append(
                Entry(
                    key: FDBKey(word: key), port: UInt16(truncatingIfNeeded: word), kind: kind,
                    ageTicks: kind == .static || age < 0 ? 0 : UInt32(age)))
        }
        return result
    }

    /// Learned entries behind a port. Owner only.
    package func learnedCount(port: UInt16) -> Int { Int(lists[Int(port)].count) }
}
