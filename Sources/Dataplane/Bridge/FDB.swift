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

    /// Learned entries at most in the whole switch; cannot exceed half the table.
    package func setLimit(_ limit: Int) {
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

    @inline(__always)
    func home(_ key: UInt64) -> Int {
        // A 64-bit finaliser (two rounds of xor-shift-multiply) over the seeded key.
        var hash = key ^ seed
        hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
        hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
        return Int(truncatingIfNeeded: hash >> 32) & mask
    }

    /// The place of `key`, or -1. Owner, or a reader that validates the sequence.
    @inline(__always)
    func find(_ key: UInt64) -> Int {
        var index = home(key)
        // Bounded: at half load a free place always ends the walk for the owner; the bound is for a
        // reader whose table changes under it.
        var steps = 0
        while steps <= mask {
            let found = slots[index].key.load(ordering: .acquiring)
            if found == key { return index }
            if found == 0 { return -1 }
            index = (index &+ 1) & mask
            steps &+= 1
        }
        return -1
    }

    /// Looks an address up; nil when it is unknown or expired at `now`.
    ///
    /// - Parameter isOwner: whether the calling thread is the owner, which needs no validation.
    @inline(__always)
    package func lookup(_ key: FDBKey, now: UInt32, isOwner: Bool) -> Location? {
        if isOwner { return read(key, now: now) }
        var attempts = 0
        while true {
            let before = state.pointee.sequence.load(ordering: .acquiring)
            if before & 1 == 0 {
                let result = read(key, now: now)
                atomicMemoryFence(ordering: .acquiring)
                if state.pointee.sequence.load(ordering: .relaxed) == before { return result }
            }
            attempts &+= 1
            // The owner may have been descheduled inside a change: the table then stands still, and a
            // hit whose key is the same before and after is right. Only a miss needs validation.
            if attempts & 63 == 0, let result = read(key, now: now) {
                atomicMemoryFence(ordering: .acquiring)
                let found = slots[Int(result.index)].key.load(ordering: .relaxed)
                if found == key.word { return result }
            }
            // An unknown address is flooded, which is slower and never wrong.
            if attempts > 4096 { return nil }
        }
    }

    @inline(__always)
    private func read(_ key: FDBKey, now: UInt32) -> Location? {
        let index = find(key.word)
        guard index >= 0 else { return nil }
        let word = slots[index].location.load(ordering: .relaxed)
        let tick = slots[index].tick.load(ordering: .relaxed)
        let kind = Kind(rawValue: UInt8(truncatingIfNeeded: word >> 16)) ?? .dynamic
        if kind != .static, isExpired(tick, now: now) { return nil }
        return Location(
            port: UInt16(truncatingIfNeeded: word), kind: kind, tick: tick,
            index: Int32(truncatingIfNeeded: index))
    }

    @inline(__always)
    func isExpired(_ tick: UInt32, now: UInt32) -> Bool {
        // Signed distance: a refresh by a worker whose clock reading is later is not "long ago".
        let age = Int32(bitPattern: now &- tick)
        return age > 0
            && UInt32(bitPattern: age) > state.pointee.ageingTicks.load(ordering: .relaxed)
    }

    /// Notes that the address whose entry a lookup found at `index` was heard now. Any worker.
    ///
    /// Should the entry have moved or gone since the lookup, the wrong one lives a little longer or
    /// a free place gets a tick that nobody reads.
    @inline(__always)
    func refresh(at index: Int32, now: UInt32) {
        slots[Int(index)].tick.store(now, ordering: .relaxed)
    }

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
