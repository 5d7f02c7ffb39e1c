import Testing
import Wire

@testable import Dataplane

@Suite("The forwarding database")
struct FDBTests {
    static func table(_ capacity: Int = 64, ports: Int = 8) -> FDB {
        FDB(maximumEntries: capacity, portCapacity: ports, seed: 1)
    }
    static func key(_ number: UInt64, domain: UInt16 = 1) -> FDBKey {
        FDBKey(domain: domain, address: host(number))
    }

    @Test("an address is unknown, then known, then gone when it has aged")
    func life() {
        let fdb = Self.table()
        fdb.setAgeing(ticks: 100)
        #expect(fdb.lookup(Self.key(1), now: 10, isOwner: true) == nil)
        fdb.learn(Self.key(1), port: 3, sticky: false, now: 10)
        #expect(fdb.lookup(Self.key(1), now: 110, isOwner: true)?.port == 3)
        #expect(fdb.lookup(Self.key(1), now: 111, isOwner: true) == nil)
        #expect(fdb.learnedCount == 1)  // expired, not yet reclaimed
        for second in 0..<200 { fdb.sweep(now: 111 + UInt32(second) * 10) }
        #expect(fdb.learnedCount == 0)
        #expect(fdb.totals.aged == 1)
    }

    @Test("the first address after a long silence does not cost a walk through the table")
    func sweepAfterSilence() {
        let fdb = Self.table(32_768)
        fdb.sweep(now: 1_000_000)
        fdb.learn(Self.key(1), port: 3, sticky: false, now: 1_000_005)
        fdb.sweep(now: 1_000_015)
        #expect(fdb.state.pointee.sweepCursor < fdb.capacity / 8)
        #expect(fdb.state.pointee.sweepCursor > 0)
    }

    @Test("hearing an address again keeps it known")
    func refresh() throws {
        let fdb = Self.table()
        fdb.setAgeing(ticks: 100)
        fdb.learn(Self.key(1), port: 3, sticky: false, now: 0)
        let entry = try #require(fdb.lookup(Self.key(1), now: 90, isOwner: true))
        fdb.table.refresh(at: entry.index, now: 90)
        #expect(fdb.lookup(Self.key(1), now: 190, isOwner: true)?.port == 3)
    }

    @Test("a dynamic entry moves; a sticky one stays until it ages; a static one stays for ever")
    func kinds() {
        let fdb = Self.table()
        fdb.setAgeing(ticks: 100)
        fdb.learn(Self.key(1), port: 1, sticky: false, now: 0)
        fdb.learn(Self.key(1), port: 2, sticky: false, now: 1)
        #expect(fdb.lookup(Self.key(1), now: 1, isOwner: true)?.port == 2)
        #expect(fdb.totals.moved == 1)
        #expect(fdb.learnedCount(port: 1) == 0 && fdb.learnedCount(port: 2) == 1)

        fdb.learn(Self.key(2), port: 1, sticky: true, now: 0)
        fdb.learn(Self.key(2), port: 2, sticky: false, now: 50)
        #expect(fdb.lookup(Self.key(2), now: 50, isOwner: true)?.port == 1)
        fdb.learn(Self.key(2), port: 2, sticky: false, now: 101)
        #expect(fdb.lookup(Self.key(2), now: 101, isOwner: true)?.port == 2)

        #expect(fdb.addStatic(Self.key(3), port: 5, now: 0))
        fdb.learn(Self.key(3), port: 6, sticky: false, now: 1)
        #expect(fdb.lookup(Self.key(3), now: 1_000_000, isOwner: true)?.port == 5)
        #expect(fdb.addStatic(Self.key(1), port: 7, now: 2))  // replaces the dynamic one
        #expect(fdb.learnedCount == 1 && fdb.staticCount == 2)
    }

    @Test("a full table takes from the port with the most addresses")
    func fairness() {
        let fdb = Self.table(64)
        for number in 0..<4 { fdb.learn(Self.key(UInt64(number)), port: 1, sticky: false, now: 0) }
        for number in 100..<10_100 {
            fdb.learn(Self.key(UInt64(number)), port: 2, sticky: false, now: 1)
        }
        #expect(fdb.learnedCount == fdb.limit)
        #expect(fdb.learnedCount(port: 1) == 4)
        #expect(fdb.totals.evicted == UInt64(10_004 - fdb.limit))
        for number in 0..<4 {
            #expect(fdb.lookup(Self.key(UInt64(number)), now: 1, isOwner: true)?.port == 1)
        }
        // And a newcomer elsewhere still finds room.
        fdb.learn(Self.key(99_999), port: 3, sticky: false, now: 1)
        #expect(fdb.lookup(Self.key(99_999), now: 1, isOwner: true)?.port == 3)
    }

    @Test("two ports that flood a full table by turns give way to each other and to nobody else")
    func fairnessBetweenTwo() {
        let fdb = Self.table(512)
        for number in 0..<20 { fdb.learn(Self.key(UInt64(number)), port: 1, sticky: false, now: 0) }
        for number in 1000..<2000 {
            fdb.learn(Self.key(UInt64(number)), port: 2, sticky: false, now: 1)
        }
        for number in 2000..<20_000 {
            fdb.learn(
                Self.key(UInt64(number)), port: UInt16(2 + number % 2), sticky: false, now: 1)
        }
        #expect(fdb.learnedCount == fdb.limit && fdb.learnedCount(port: 1) == 20)
        let half = (fdb.limit - 20) / 2
        for port in [2, 3] as [UInt16] {
            #expect(abs(fdb.learnedCount(port: port) - half) <= half / 8, "port \(port)")
        }
    }

    @Test("a lowered limit is reached as new addresses come")
    func loweredLimit() {
        let fdb = Self.table(512)
        for number in 0..<400 {
            fdb.learn(Self.key(UInt64(number)), port: 1, sticky: false, now: 0)
        }
        fdb.setLimit(100)
        for number in 1000..<1300 {
            fdb.learn(Self.key(UInt64(number)), port: 2, sticky: false, now: 0)
        }
        #expect(fdb.learnedCount == 100)
    }

    @Test("a port at its limit gives up its own oldest address, and those in use last")
    func portLimit() throws {
        let fdb = Self.table(64)
        #expect(fdb.setLimit(3, port: 1))
        for number in 0..<3 { fdb.learn(Self.key(UInt64(number)), port: 1, sticky: false, now: 0) }
        let busy = try #require(fdb.lookup(Self.key(0), now: 5, isOwner: true))
        fdb.table.refresh(at: busy.index, now: 5)
        fdb.learn(Self.key(3), port: 1, sticky: false, now: 6)
        #expect(fdb.learnedCount(port: 1) == 3)
        #expect(fdb.lookup(Self.key(0), now: 6, isOwner: true) != nil)
        #expect(fdb.lookup(Self.key(1), now: 6, isOwner: true) == nil)
        #expect(!fdb.setLimit(1, port: 1, budget: 1))
        #expect(fdb.learnedCount(port: 1) == 2)
        #expect(fdb.setLimit(1, port: 1, budget: 1))
        #expect(fdb.learnedCount(port: 1) == 1)
    }

    @Test("a flush deletes what matches and nothing else")
    func flush() {
        let fdb = Self.table(256)
        for number in 0..<50 {
            fdb.learn(
                Self.key(UInt64(number), domain: UInt16(1 + number % 2)),
                port: UInt16(number % 5), sticky: false, now: 0)
        }
        _ = fdb.addStatic(Self.key(1000), port: 3, now: 0)
        func flush(_ pattern: FDB.FlushPattern) -> Int {
            var removed = 0
            fdb.beginFlush()
            while !fdb.flush(pattern, budget: 10, removed: &removed) {}
            return removed
        }
        #expect(flush(FDB.FlushPattern(port: 3)) == 10)
        #expect(fdb.staticCount == 1)
        #expect(flush(FDB.FlushPattern(domain: 2)) == 20)
        #expect(flush(FDB.FlushPattern(address: host(0))) == 1)
        #expect(flush(FDB.FlushPattern(port: 3, includesStatic: true)) == 1)
        #expect(flush(FDB.FlushPattern()) == 19)
        #expect(fdb.learnedCount == 0)
    }

    @Test("a flush in slices misses nothing, whatever is deleted and learned in between")
    func flushUnderChange() {
        var random = SeededGenerator(seed: 11)
        for round in 0..<50 {
            let fdb = Self.table(512)
            // Static entries fill the table up to three quarters: long runs, that wrap round.
            var others: [FDBKey] = []
            for number in 0..<380 {
                let key = Self.key(UInt64(number), domain: 2)
                if fdb.addStatic(key, port: 2, now: 0) { others.append(key) }
            }
            for number in 0..<380 {
                fdb.learn(Self.key(UInt64(1000 + number)), port: 1, sticky: false, now: 0)
            }
            var removed = 0
            fdb.beginFlush()
            while !fdb.flush(FDB.FlushPattern(port: 1), budget: 8, removed: &removed) {
                for _ in 0..<4 where !others.isEmpty {
                    let place = Int.random(in: 0..<others.count, using: &random)
                    #expect(fdb.delete(others.remove(at: place)))
                }
                let number = UInt64.random(in: 10_000..<20_000, using: &random)
                fdb.learn(Self.key(number), port: 3, sticky: false, now: 0)
            }
            #expect(fdb.learnedCount(port: 1) == 0, "round \(round)")
        }
    }

    @Test("behaves like a dictionary under a long random history")
    func model() {
        let fdb = Self.table(512, ports: 8)
        var model: [FDBKey: UInt16] = [:]
        var random = SeededGenerator(seed: 7)
        for step in 0..<30_000 {
            let key = Self.key(
                UInt64.random(in: 0..<300, using: &random),
                domain: UInt16.random(in: 1...3, using: &random))
            switch Int.random(in: 0..<3, using: &random) {
            case 0, 1:
                let port = UInt16.random(in: 0..<8, using: &random)
                if model.count < 500 || model[key] != nil {
                    fdb.learn(key, port: port, sticky: false, now: 1)
                    model[key] = port
                }
            default:
                #expect(fdb.delete(key) == (model.removeValue(forKey: key) != nil))
            }
            if step % 1000 == 0 {
                let listed = fdb.entries(now: 1)
                #expect(listed.count == model.count)
                for entry in listed { #expect(model[entry.key] == entry.port) }
            }
        }
        for (key, port) in model {
            #expect(fdb.lookup(key, now: 1, isOwner: true)?.port == port)
            #expect(fdb.lookup(key, now: 1, isOwner: false)?.port == port)
        }
        #expect((0..<8).reduce(0) { $0 + fdb.learnedCount(port: UInt16($1)) } == model.count)
    }
}

/// SplitMix64: small, seeded, the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
