import ControlAPI
import Dispatch
import Foundation
import Synchronization

/// Something that happened, as those who saw it tell the journal.
package struct SwitchEvent: Sendable {
    package var kind: EventKind
    package var severity: EventSeverity
    package var port: String?
    package var otherPort: String?
    package var network: String?
    package var tunnel: String?
    package var sentence: String
    package var remedy: String?
    /// What makes two events the same, besides kind and subjects; nil takes the sentence, which will
    /// not do where there are numbers in it.
    package var identity: String?

    package init(
        _ kind: EventKind, _ severity: EventSeverity, port: String? = nil,
        otherPort: String? = nil, network: String? = nil, tunnel: String? = nil,
        _ sentence: String, remedy: String? = nil, identity: String? = nil
    ) {
        self.kind = kind
        self.severity = severity
        self.port = port
        self.otherPort = otherPort
        self.network = network
        self.tunnel = tunnel
        self.sentence = sentence
        self.remedy = remedy
        self.identity = identity
    }
}

/// The switch's memory of what happened.
///
/// Theory of operation
///
/// The newest ``capacity`` events, each with a number that only grows. An event that is the same as
/// one of less than ``mergeSeconds`` ago takes that one's place at the end, under a new number and
/// with one more in its count: whoever follows by number hears of it again, and what flaps all night
/// holds one or two places and not all of them. Its first time stays.
///
/// Followers wait on a semaphore each; the freezer runs on the thread that tells, outside the lock.
///
/// Not here: who decides that something happened. Nothing is on disk: a restart forgets.
///
/// Any thread. Telling costs a search of the last events, at most ``searchCount``.
package final class EventJournal: Sendable {
    private struct Entry {
        var event: SwitchEvent
        var number: UInt64
        var first: Date
        var last: Date
        var count: Int
        var recording: Int?
    }

    private struct State {
        /// By number, ascending.
        var entries: [Entry] = []
        var last: UInt64 = 0
        var totals: [EventKind: UInt64] = [:]
        var waiters: [DispatchSemaphore] = []
        var freezer: (@Sendable (SwitchEvent) -> Int?)?
        var isClosed = false
    }

    package static let defaultCapacity = 4096
    /// Within this the same event again is a repetition; later it is news.
    package static let mergeSeconds = 60.0
    /// How far back an equal event is looked for.
    static let searchCount = 256

    private let capacity: Int
    private let clock: @Sendable () -> Date
    private let state = Mutex(State())

    package init(
        capacity: Int = EventJournal.defaultCapacity,
        clock: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.capacity = capacity
        self.clock = clock
    }

    /// Has `freezer` called for every event from now on, on the thread that tells of it and with
    /// whatever it holds locked: it must not take its time. It gives the number of the recording that
    /// shows the event.
    package func setFreezer(_ freezer: @escaping @Sendable (SwitchEvent) -> Int?) {
        state.withLock { $0.freezer = freezer }
    }

    package func tell(_ event: SwitchEvent) {
        let now = clock()
        let recording = state.withLock(\.freezer)?(event)
        let waiters = state.withLock { state in
            state.last += 1
            state.totals[event.kind, default: 0] += 1
            var entry = Entry(event: event, number: state.last, first: now, last: now, count: 1)
            entry.recording = recording
            let from = max(0, state.entries.count - EventJournal.searchCount)
            if let place = state.entries[from...].lastIndex(where: { $0.event.isSame(as: event) }),
                now.timeIntervalSince(state.entries[place].last) < EventJournal.mergeSeconds
            {
                entry.first = state.entries[place].first
                entry.count += state.entries[place].count
                state.entries.remove(at: place)
            }
            state.entries.append(entry)
            // A quarter at a time, so that a full journal does not shift with every event.
            if state.entries.count > capacity + capacity / 4 {
                state.entries.removeFirst(state.entries.count - capacity)
            }
            let waiters = state.waiters
            state.waiters = []
            return waiters
        }
        for waiter in waiters { waiter.signal() }
    }

    /// The events after number `since`, at most the newest ``capacity``; `wait` seconds at most until
    /// there is one.
    package func events(
        since: UInt64 = 0, kind: EventKind? = nil, wait seconds: Double = 0
    ) -> EventList {
        let deadline = DispatchTime.now() + seconds
        while true {
            let waiter = DispatchSemaphore(value: 0)
            let (list, mustWait) = state.withLock { state in
                let found = state.entries.suffix(capacity).filter {
                    $0.number > since && (kind == nil || $0.event.kind == kind)
                }
                let mustWait = found.isEmpty && !state.isClosed && seconds > 0
                if mustWait { state.waiters.append(waiter) }
                return (
                    EventList(events: found.map(EventJournal.info), last: state.last), mustWait
                )
            }
            guard mustWait else { return list }
            if waiter.wait(timeout: deadline) == .timedOut {
                state.withLock { state in state.waiters.removeAll { $0 === waiter } }
                return list
            }
        }
    }

    /// Events told since the start, repetitions counted each.
    package var totals: [EventKind: UInt64] { state.withLock(\.totals) }

    /// Ends every wait, and lets nobody wait any more.
    package func close() {
        let waiters = state.withLock { state in
            state.isClosed = true
            let waiters = state.waiters
            state.waiters = []
            return waiters
        }
        for waiter in waiters { waiter.signal() }
    }

    private static func info(_ entry: Entry) -> EventInfo {
        let event = entry.event
        return EventInfo(
            number: entry.number, time: text(entry.last), kind: event.kind.rawValue,
            severity: event.severity, count: entry.count, firstTime: text(entry.first),
            port: event.port, otherPort: event.otherPort, network: event.network,
            tunnel: event.tunnel, sentence: event.sentence, remedy: event.remedy,
            recording: entry.recording)
    }

    private static func text(_ time: Date) -> String {
        time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}

extension SwitchEvent {
    fileprivate func isSame(as other: SwitchEvent) -> Bool {
        kind == other.kind && port == other.port && otherPort == other.otherPort
            && network == other.network && tunnel == other.tunnel
            && (identity ?? sentence) == (other.identity ?? other.sentence)
    }
}
