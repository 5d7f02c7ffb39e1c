import ControlAPI
import Foundation
import Synchronization
import Testing

@testable import Control

@Suite("The journal of events")
struct EventJournalTests {
    /// A clock that stands until it is moved.
    private final class Clock: Sendable {
        private let time = Mutex(Date(timeIntervalSince1970: 1_000_000))
        var now: Date { time.withLock { $0 } }
        func advance(_ seconds: Double) { time.withLock { $0 += seconds } }
    }

    private static func down(_ port: String, _ reason: String = "gone") -> SwitchEvent {
        SwitchEvent(.portDown, .warning, port: port, "port '\(port)' is down: \(reason)")
    }

    @Test("numbers events from 1 and gives those after a number")
    func numbers() {
        let journal = EventJournal()
        for port in ["a", "b", "c"] { journal.tell(Self.down(port)) }
        #expect(journal.events().events.map(\.number) == [1, 2, 3])
        #expect(journal.events(since: 2).events.map(\.port) == ["c"])
        #expect(journal.events(since: 3).events.isEmpty)
        #expect(journal.events(since: 3).last == 3)
        #expect(journal.events(since: .max).events.isEmpty)
    }

    @Test("gives one kind alone, and counts all")
    func kinds() {
        let journal = EventJournal()
        journal.tell(Self.down("a"))
        journal.tell(SwitchEvent(.loop, .error, port: "a", "a loop"))
        #expect(journal.events(kind: .loop).events.map(\.kind) == ["loop"])
        #expect(journal.totals == [.portDown: 1, .loop: 1])
    }

    @Test(
        "an event that repeats moves to the end under a new number, with a count and its first time"
    )
    func repetition() throws {
        let clock = Clock()
        let journal = EventJournal(clock: { clock.now })
        journal.tell(Self.down("a"))
        journal.tell(Self.down("b"))
        clock.advance(10)
        journal.tell(Self.down("a"))
        let events = journal.events().events
        #expect(events.map(\.port) == ["b", "a"])
        #expect(events.map(\.count) == [1, 2])
        #expect(events.map(\.number) == [2, 3])
        #expect(try #require(events.last).time == "1970-01-12T13:46:50.000Z")
        #expect(try #require(events.last).firstTime == "1970-01-12T13:46:40.000Z")
        #expect(journal.totals == [.portDown: 3])
        // A minute later it is news.
        clock.advance(60)
        journal.tell(Self.down("a"))
        #expect(journal.events().events.map(\.count) == [1, 2, 1])
    }

    @Test("another reason is another event, and numbers in a sentence need not be")
    func identity() {
        let journal = EventJournal()
        journal.tell(Self.down("a", "gone"))
        journal.tell(Self.down("a", "no carrier"))
        for rate in [200, 300] {
            journal.tell(SwitchEvent(.dropSpike, .notice, port: "a", "\(rate)/s", identity: "runt"))
        }
        #expect(journal.events().events.map(\.count) == [1, 1, 2])
        #expect(journal.events().events.last?.sentence == "300/s")
    }

    @Test("what flaps all night does not push out what happened before")
    func flapping() {
        let clock = Clock()
        let journal = EventJournal(capacity: 16, clock: { clock.now })
        journal.tell(SwitchEvent(.loop, .error, "the one that matters"))
        for _ in 0..<10_000 {
            journal.tell(Self.down("flapping"))
            journal.tell(SwitchEvent(.portUp, .notice, port: "flapping", "port 'flapping' is up"))
            clock.advance(1)
        }
        let events = journal.events().events
        #expect(events.map(\.kind) == ["loop", "port-down", "port-up"])
        #expect(events.map(\.count) == [1, 10_000, 10_000])
    }

    @Test("keeps the newest and no more than it may")
    func bound() {
        let journal = EventJournal(capacity: 100)
        for number in 0..<1_000 { journal.tell(Self.down("p\(number)")) }
        let events = journal.events().events
        #expect(events.count == 100)
        #expect(events.first?.port == "p900" && events.last?.port == "p999")
    }

    @Test("whoever waits is woken by an event, and by the end")
    func waiting() async throws {
        let journal = EventJournal()
        async let woken = blocking { journal.events(since: 0, wait: 10) }
        try await Task.sleep(for: .milliseconds(100))
        journal.tell(Self.down("a"))
        #expect(try await woken.events.map(\.port) == ["a"])

        async let ended = blocking { journal.events(since: 1, wait: 10) }
        try await Task.sleep(for: .milliseconds(100))
        let began = ContinuousClock.now
        journal.close()
        #expect(try await ended.events.isEmpty)
        #expect(ContinuousClock.now - began < .seconds(5))
        // From then on nobody waits.
        #expect(journal.events(since: 1, wait: 10).events.isEmpty)
    }

    @Test("a wait for one kind is not ended by another, and ends in time")
    func waitingForKind() async throws {
        let journal = EventJournal()
        async let woken = blocking { journal.events(since: 0, kind: .loop, wait: 0.5) }
        try await Task.sleep(for: .milliseconds(50))
        journal.tell(Self.down("a"))
        #expect(try await woken.events.isEmpty)
    }

    @Test("each event is offered to the recorder, and listed with the recording that it got")
    func recordings() {
        let journal = EventJournal()
        let seen = Mutex<[EventKind]>([])
        journal.setFreezer { event in
            seen.withLock { seen in
                seen.append(event.kind)
                return seen.count == 1 ? nil : seen.count
            }
        }
        journal.tell(Self.down("a"))
        #expect(journal.events().events.map(\.recording) == [nil])
        journal.tell(Self.down("a"))
        #expect(journal.events().events.map(\.recording) == [2], "the same event, again")
        #expect(seen.withLock { $0 } == [.portDown, .portDown])
    }
}
