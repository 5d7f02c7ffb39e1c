/// What the worker that owns the ``FDB`` does for all of them, between bursts.
extension Worker {
    /// One round of the table: what the other workers have learned, a slice of a command, ageing.
    mutating func serveFDB() {
        if hasPeers { learnFromPeers() }
        // One slice of one command per round: a flush of a big table must not hold up frames.
        if command == nil, let next = link.takeCommand() {
            command = next
            fabric.fdb.beginFlush()
            flushRemoved = 0
        }
        if let current = command, let changed = carryOut(current.operation) {
            command = nil
            current.completion(changed)
        }
        fabric.fdb.sweep(now: tick)
    }

    private mutating func learnFromPeers() {
        for peer in fabric.links where peer.index != index {
            while let request = peer.learns.pop() {
                learnAsOwner(
                    FDBKey(word: request.key), port: request.port, isSticky: request.isSticky,
                    at: request.tick)
            }
        }
    }

    /// Learns, and tells the control side when that changed the table.
    mutating func learnAsOwner(_ key: FDBKey, port: UInt16, isSticky: Bool, at tick: UInt32) {
        let kind: AddressNotice.Kind
        var previous = port
        switch fabric.fdb.learn(key, port: port, sticky: isSticky, now: tick) {
        case .unchanged: return
        case .learned: kind = .learned
        case .moved(let from):
            kind = .moved
            previous = from
        }
        link.tell(
            AddressNotice(
                kind: kind, key: key.word, port: port, previousPort: previous, time: time))
    }

    /// Carries a command on; nil when it needs another round.
    private mutating func carryOut(_ operation: FDBCommand.Operation) -> Int? {
        switch operation {
        case .addStatic(let key, let port):
            return fabric.fdb.addStatic(key, port: port, now: tick) ? 1 : 0
        case .addSticky(let key, let port):
            fabric.fdb.learn(key, port: port, sticky: true, now: tick)
            let entry = fabric.fdb.lookup(key, now: tick, isOwner: true)
            return entry?.port == port && entry?.kind == .sticky ? 1 : 0
        case .delete(let key):
            return fabric.fdb.delete(key) ? 1 : 0
        case .flush(let pattern):
            let done = fabric.fdb.flush(pattern, budget: 16_384, removed: &flushRemoved)
            return done ? flushRemoved : nil
        case .setPortLimit(let limit, let port):
            return fabric.fdb.setLimit(limit, port: port, budget: 4096) ? 0 : nil
        }
    }
}
