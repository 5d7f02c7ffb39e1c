import Synchronization

/// Changes to the table. Every function here runs on the owner's thread.
extension FDB {
    /// Learns or moves an address; called for a source that the lookup did not find behind `port`.
    ///
    /// Does nothing when the address is static, or sticky and not expired.
    @discardableResult
    package func learn(
        _ key: FDBKey, port: UInt16, sticky: Bool, now: UInt32
    ) -> LearnOutcome {
        let existing = find(key.word)
        if existing >= 0 {
            return relocate(existing, port: port, sticky: sticky, now: now)
        }
        let list = lists + Int(port)
        if list.pointee.count >= list.pointee.limit {
            evict(from: Int(port))
        } else if learnedCount >= limit {
            evict(from: busiestPort())
            // After the limit was lowered the table comes down to it as addresses are learned.
            if learnedCount >= limit { evict(from: busiestPort()) }
        }
        guard let index = insert(key.word) else {
            bump(state.pointee.refused)
            return .unchanged
        }
        set(index, key: key.word, port: port, kind: sticky ? .sticky : .dynamic, now: now)
        append(index, to: Int(port), now: now)
        bump(state.pointee.learned)
        return .learned
    }

    /// What came of an attempt to learn.
    package enum LearnOutcome: Equatable, Sendable {
        /// The table says what it said before, or had no room.
        case unchanged
        case learned
        /// The address was behind that port until now.
        case moved(from: UInt16)
    }

    /// Adds or replaces a static entry; false when the table has no room left.
    package func addStatic(_ key: FDBKey, port: UInt16, now: UInt32) -> Bool {
        var index = find(key.word)
        if index >= 0 {
            if kind(at: index) == .static {
                state.pointee.staticCount.subtract(1, ordering: .relaxed)
            } else {
                unlink(index)
            }
        } else {
            guard let place = insert(key.word) else { return false }
            index = place
        }
        set(index, key: key.word, port: port, kind: .static, now: now)
        state.pointee.staticCount.add(1, ordering: .relaxed)
        return true
    }

    /// Deletes an entry of any kind; false when there is none.
    package func delete(_ key: FDBKey) -> Bool {
        let index = find(key.word)
        guard index >= 0 else { return false }
        remove(index)
        return true
    }

    /// What a flush spares nothing of but static entries.
    package struct FlushPattern: Sendable {
        package var port: UInt16?
        package var domain: UInt16?
        package var address: UInt64?
        /// Also static entries: a port or a network that goes takes them along.
        package var includesStatic: Bool

        package init(
            port: UInt16? = nil, domain: UInt16? = nil, address: UInt64? = nil,
            includesStatic: Bool = false
        ) {
            self.port = port
            self.domain = domain
            self.address = address
            self.includesStatic = includesStatic
        }
    }

    /// Begins a flush at the table's start; one at a time.
    package func beginFlush() { state.pointee.flushCursor = 0 }

    /// Deletes what matches in the next `budget` places; true when the table's end has been reached.
    ///
    /// A flush of a big table takes several calls, so that frames are switched in between. What is
    /// deleted in between for other reasons may shift entries that the flush has yet to see to
    /// before its cursor: `shift` takes the cursor back with them.
    package func flush(_ pattern: FlushPattern, budget: Int, removed: inout Int) -> Bool {
        var cursor = state.pointee.flushCursor
        // The flush's own deletions shift nothing past the place it looks at.
        state.pointee.flushCursor = capacity
        let end = min(cursor + budget, capacity)
        while cursor < end {
            let word = slots[cursor].key.load(ordering: .relaxed)
            if word != 0, matches(pattern, index: cursor, key: FDBKey(word: word)) {
                // Deleting may shift a later entry into this place: look at it again.
                remove(cursor)
                removed += 1
            } else {
                cursor += 1
            }
        }
        state.pointee.flushCursor = cursor
        return cursor >= capacity
    }

    private func matches(_ pattern: FlushPattern, index: Int, key: FDBKey) -> Bool {
        if !pattern.includesStatic, kind(at: index) == .static { return false }
        if let port = pattern.port, port != self.port(at: index) { return false }
        if let domain = pattern.domain, domain != key.domain { return false }
        if let address = pattern.address, address != key.address.rawValue { return false }
        return true
    }

    /// Reclaims expired entries in a slice of the table.
    ///
    /// Called between bursts; does work at most once a second, and goes round the whole table in a
    /// sixteenth of the ageing time, or more slowly where that would hold up frames.
    package func sweep(now: UInt32) {
        guard learnedCount > 0 else {
            // An idle table owes nothing: its first entry must not cost a walk through all of it.
            state.pointee.sweepTick = now
            return
        }
        guard now &- state.pointee.sweepTick >= FDB.ticksPerSecond else { return }
        let elapsed = Int(now &- state.pointee.sweepTick)
        state.pointee.sweepTick = now
        let round = max(Int(ageingTicks) / 16, Int(FDB.ticksPerSecond))
        let slice = min(capacity, capacity / round * elapsed + 1, FDB.sweepLimit)
        var cursor = state.pointee.sweepCursor
        var remaining = slice
        while remaining > 0 {
            remaining -= 1
            if slots[cursor].key.load(ordering: .relaxed) != 0, kind(at: cursor) != .static,
                isExpired(slots[cursor].tick.load(ordering: .relaxed), now: now)
            {
                remove(cursor)
                bump(state.pointee.aged)
            } else {
                cursor = (cursor + 1) & mask
            }
        }
        state.pointee.sweepCursor = cursor
    }

    /// Places in one slice at most: 4 MiB of table, under a millisecond.
    private static let sweepLimit = 262_144

    // MARK: Places

    func kind(at index: Int) -> Kind {
        let word = slots[index].location.load(ordering: .relaxed)
        return Kind(rawValue: UInt8(truncatingIfNeeded: word >> 16)) ?? .dynamic
    }

    func port(at index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: slots[index].location.load(ordering: .relaxed))
    }

    private func set(_ index: Int, key: UInt64, port: UInt16, kind: Kind, now: UInt32) {
        beginChange()
        slots[index].location.store(UInt32(port) | UInt32(kind.rawValue) << 16, ordering: .relaxed)
        slots[index].tick.store(now, ordering: .relaxed)
        slots[index].key.store(key, ordering: .releasing)
        endChange()
    }

    /// An empty place for a key that is not in the table; nil when the table is too full.
    private func insert(_ key: UInt64) -> Int? {
        // Static entries share the table's other half with the free places that end every probe.
        guard learnedCount + staticCount < capacity / 4 * 3 else { return nil }
        var index = home(key)
        while slots[index].key.load(ordering: .relaxed) != 0 { index = (index + 1) & mask }
        return index
    }

    private func relocate(
        _ index: Int, port: UInt16, sticky: Bool, now: UInt32
    ) -> LearnOutcome {
        switch kind(at: index) {
        case .static: return .unchanged
        case .sticky:
            let tick = slots[index].tick.load(ordering: .relaxed)
            if self.port(at: index) != port, !isExpired(tick, now: now) { return .unchanged }
        case .dynamic: break
        }
        let key = slots[index].key.load(ordering: .relaxed)
        let previous = self.port(at: index)
        if previous != port {
            bump(state.pointee.moved)
            // At its limit the new port gives up one of its own; that may shift this entry.
            if lists[Int(port)].count >= lists[Int(port)].limit { evict(from: Int(port)) }
        }
        let place = find(key)
        unlink(place)
        set(place, key: key, port: port, kind: sticky ? .sticky : .dynamic, now: now)
        append(place, to: Int(port), now: now)
        return previous == port ? .unchanged : .moved(from: previous)
    }

    private func remove(_ index: Int) {
        if kind(at: index) == .static {
            state.pointee.staticCount.subtract(1, ordering: .relaxed)
        } else {
            unlink(index)
        }
        beginChange()
        clear(index)
        var hole = index
        var next = index
        // Knuth's algorithm R: shift back every entry that the hole would cut off from its home.
        while true {
            next = (next + 1) & mask
            let key = slots[next].key.load(ordering: .relaxed)
            if key == 0 { break }
            if (next &- home(key)) & mask >= (next &- hole) & mask {
                shift(from: next, to: hole, key: key)
                clear(next)
                hole = next
            }
        }
        endChange()
    }

    /// Empties a place, before anything else is written there: no reader may see a key beside
    /// another key's location.
    private func clear(_ index: Int) {
        slots[index].key.store(0, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
    }

    private func shift(from source: Int, to target: Int, key: UInt64) {
        let location = slots[source].location.load(ordering: .relaxed)
        slots[target].location.store(location, ordering: .relaxed)
        slots[target].tick.store(slots[source].tick.load(ordering: .relaxed), ordering: .relaxed)
        slots[target].key.store(key, ordering: .releasing)
        if source >= state.pointee.flushCursor, target < state.pointee.flushCursor {
            state.pointee.flushCursor = target
        }
        guard location >> 16 != UInt32(Kind.static.rawValue) else { return }
        let link = links[source]
        links[target] = link
        let list = lists + Int(UInt16(truncatingIfNeeded: location))
        if link.previous >= 0 {
            links[Int(link.previous)].next = Int32(target)
        } else {
            list.pointee.head = Int32(target)
        }
        if link.next >= 0 {
            links[Int(link.next)].previous = Int32(target)
        } else {
            list.pointee.tail = Int32(target)
        }
    }

    private func beginChange() {
        let sequence = state.pointee.sequence.load(ordering: .relaxed)
        state.pointee.sequence.store(sequence &+ 1, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
    }

    private func endChange() {
        let sequence = state.pointee.sequence.load(ordering: .relaxed)
        state.pointee.sequence.store(sequence &+ 1, ordering: .releasing)
    }

    private func bump(_ counter: borrowing Atomic<UInt64>) {
        // One writer: no need for a locked add.
        counter.store(counter.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }

    // MARK: Lists of learned entries, and eviction

    private func append(_ index: Int, to port: Int, now: UInt32) {
        let list = lists + port
        links[index] = Link(previous: list.pointee.tail, next: FDB.none, listed: now)
        if list.pointee.tail >= 0 {
            links[Int(list.pointee.tail)].next = Int32(index)
        } else {
            list.pointee.head = Int32(index)
        }
        list.pointee.tail = Int32(index)
        list.pointee.count += 1
        state.pointee.learnedCount.add(1, ordering: .relaxed)
    }

    private func unlink(_ index: Int) {
        let list = lists + Int(port(at: index))
        let link = links[index]
        if link.previous >= 0 {
            links[Int(link.previous)].next = link.next
        } else {
            list.pointee.head = link.next
        }
        if link.next >= 0 {
            links[Int(link.next)].previous = link.previous
        } else {
            list.pointee.tail = link.previous
        }
        list.pointee.count -= 1
        state.pointee.learnedCount.subtract(1, ordering: .relaxed)
    }

    func evict(from port: Int) {
        // Second chance, a few times at most: an entry heard since it was listed goes to the end.
        for _ in 0..<8 {
            let head = Int(lists[port].head)
            guard head >= 0 else { return }
            let tick = slots[head].tick.load(ordering: .relaxed)
            guard tick != links[head].listed else { break }
            unlink(head)
            append(head, to: port, now: tick)
        }
        let victim = Int(lists[port].head)
        guard victim >= 0 else { return }
        remove(victim)
        bump(state.pointee.evicted)
    }

    /// The port with the most learned entries, to within a sixteenth.
    ///
    /// Asked for every new address once the table is full, so that a flood of addresses asks at full
    /// rate. Looking at every port each time took longer than switching a hundred frames; the one
    /// found is therefore kept until it, or any other, may have come that far from where it was.
    private func busiestPort() -> Int {
        let busiest = state.pointee.busiestPort
        if state.pointee.busiestBudget > 0,
            lists[busiest].count >= state.pointee.busiestFloor
        {
            state.pointee.busiestBudget -= 1
            return busiest
        }
        var found = 0
        for port in 1..<portCapacity where lists[port].count > lists[found].count { found = port }
        let slack = lists[found].count / 16
        state.pointee.busiestPort = found
        state.pointee.busiestBudget = slack
        state.pointee.busiestFloor = lists[found].count - slack
        return found
    }
}
