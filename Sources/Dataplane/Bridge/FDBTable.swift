import CPrefetch
import Synchronization

/// The reading half of the ``FDB``: constant pointers, held for the length of a burst.
///
/// A value and no class, so that the loops over a burst keep it in registers. The ageing time is
/// read once: one that changes holds from the next burst on.
struct FDBTable {
    let slots: UnsafeMutablePointer<FDB.Slot>
    let mask: UInt32
    let seed: UInt64
    let state: UnsafeMutablePointer<FDB.State>
    let ageingTicks: UInt32

    /// The place where the search for `key` begins: a 64-bit finaliser (two rounds of
    /// xor-shift-multiply) over the seeded key.
    @inline(__always)
    func home(_ key: UInt64) -> UInt32 {
        var hash = key ^ seed
        hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
        hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
        return UInt32(truncatingIfNeeded: hash >> 32) & mask
    }

    /// Brings a place near, for the search that is to begin there.
    @inline(__always)
    func prefetch(_ home: UInt32) { heddle_prefetch(slots + Int(home)) }

    /// The place of `key`, or -1. Owner, or a reader that validates the sequence.
    @inline(__always)
    func find(_ key: UInt64, from home: UInt32) -> Int {
        var index = home
        // Bounded: at half load a free place always ends the walk for the owner; the bound is for a
        // reader whose table changes under it.
        var steps: UInt32 = 0
        while steps <= mask {
            let found = slots[Int(index)].key.load(ordering: .acquiring)
            if found == key { return Int(index) }
            if found == 0 { return -1 }
            index = (index &+ 1) & mask
            steps &+= 1
        }
        return -1
    }

    /// Looks an address up; nil when it is unknown or expired at `now`.
    @inline(__always)
    func lookup(_ key: UInt64, from home: UInt32, now: UInt32, isOwner: Bool) -> FDB.Location? {
        isOwner ? read(key, from: home, now: now) : validated(key, from: home, now: now)
    }

    /// As ``read(_:from:now:)``, on a thread beside which the owner may change the table.
    private func validated(_ key: UInt64, from home: UInt32, now: UInt32) -> FDB.Location? {
        var attempts = 0
        while true {
            let before = state.pointee.sequence.load(ordering: .acquiring)
            if before & 1 == 0 {
                let result = read(key, from: home, now: now)
                atomicMemoryFence(ordering: .acquiring)
                if state.pointee.sequence.load(ordering: .relaxed) == before { return result }
            }
            attempts &+= 1
            // The owner may have been descheduled inside a change: the table then stands still, and a
            // hit whose key is the same before and after is right. Only a miss needs validation.
            if attempts & 63 == 0, let result = read(key, from: home, now: now) {
                atomicMemoryFence(ordering: .acquiring)
                let found = slots[Int(result.index)].key.load(ordering: .relaxed)
                if found == key { return result }
            }
            // An unknown address is flooded, which is slower and never wrong.
            if attempts > 4096 { return nil }
        }
    }

    @inline(__always)
    private func read(_ key: UInt64, from home: UInt32, now: UInt32) -> FDB.Location? {
        let index = find(key, from: home)
        guard index >= 0 else { return nil }
        let word = slots[index].location.load(ordering: .relaxed)
        let tick = slots[index].tick.load(ordering: .relaxed)
        let kind = FDB.Kind(rawValue: UInt8(truncatingIfNeeded: word >> 16)) ?? .dynamic
        if kind != .static, isExpired(tick, now: now) { return nil }
        return FDB.Location(
            port: UInt16(truncatingIfNeeded: word), kind: kind, tick: tick,
            index: Int32(truncatingIfNeeded: index))
    }

    @inline(__always)
    func isExpired(_ tick: UInt32, now: UInt32) -> Bool {
        // Signed distance: a refresh by a worker whose clock reading is later is not "long ago".
        let age = Int32(bitPattern: now &- tick)
        return age > 0 && UInt32(bitPattern: age) > ageingTicks
    }

    /// Notes that the address whose entry a lookup found at `index` was heard now. Any worker.
    ///
    /// Should the entry have moved or gone since the lookup, the wrong one lives a little longer or
    /// a free place gets a tick that nobody reads.
    @inline(__always)
    func refresh(at index: Int32, now: UInt32) {
        slots[Int(index)].tick.store(now, ordering: .relaxed)
    }
}
