import Dataplane
import Wire

/// Judges moves of MAC addresses between ports: an ordinary move, one address at two places, or the
/// storm that a loop makes.
///
/// Theory of operation
///
/// Moves are counted by network and pair of ports, in windows of a second. A pair between which
/// ``stormCount`` moves went in a window, back and forth, is in a storm: a frame that goes round a
/// loop moves its source with each turn. A host that migrates, or a link that fails over with a
/// hundred hosts behind it, moves one way and makes no storm. Moves back and forth that are too few
/// for a storm but go on for ``alternationSpan`` mean one address at two places, or a loop in which
/// little is said: the pair is *suspected*, for which loop probes are sent, and what they find decides.
///
/// Bounded: pairs, and addresses watched for alternation, are ``capacity`` each; what finds no room
/// is not judged in that second.
///
/// A value, for one thread; pure, with the time given.
struct MoveMonitor {
    struct Pair: Hashable {
        var domain: UInt16
        /// The lower number first.
        var first: UInt16
        var second: UInt16

        init(domain: UInt16, _ one: UInt16, _ other: UInt16) {
            self.domain = domain
            first = min(one, other)
            second = max(one, other)
        }
    }

    enum Finding: Equatable {
        case moved(MACAddress, domain: UInt16, from: UInt16, to: UInt16)
        /// Several addresses moved the same way at once.
        case movedTogether(Int, domain: UInt16, from: UInt16, to: UInt16)
        case storm(Pair, count: Int)
        /// Not enough to tell, but enough to ask.
        case suspicion(Pair)
        case alternation(MACAddress, Pair, count: Int)
    }

    private struct Window {
        var start: UInt64
        /// From the first to the second port, and back.
        var forth = 0
        var back = 0
        /// Set while the pair is in a storm that was told.
        var stormUntil: UInt64 = 0
    }

    private struct Alternation {
        var pair: Pair
        var start: UInt64
        var last: UInt64
        var count: Int
        var wasTold = false
    }

    private struct Way: Hashable {
        var domain: UInt16
        var from: UInt16
        var to: UInt16
    }

    static let stormCount = 20
    static let second: UInt64 = 1_000_000_000
    /// A storm is told again when it was over for this long.
    static let stormPause = 10 * second
    /// Moves of one address between two ports that are an alternation, and how long they must go on.
    static let alternationCount = 4
    static let alternationSpan = 2 * second
    /// After this an address that stayed is no longer suspected.
    static let alternationPause = 30 * second
    /// Moves of one way in one round that are told one by one.
    static let singleCount = 4
    static let capacity = 4096

    private var windows: [Pair: Window] = [:]
    private var alternations: [UInt64: Alternation] = [:]

    init() {}

    /// Judges the moves of one round.
    mutating func judge(_ moves: [AddressNotice], now: UInt64) -> [Finding] {
        var findings: [Finding] = []
        prune(now: now)
        for move in moves { count(move, &findings) }
        // One by one only what is neither a storm nor an alternation.
        var ways: [Way: [MACAddress]] = [:]
        for move in moves {
            let key = FDBKey(word: move.key)
            let pair = Pair(domain: key.domain, move.port, move.previousPort)
            guard !isStormy(pair, at: move.time) else { continue }
            if alternate(key, pair, at: move.time, &findings) { continue }
            ways[Way(domain: key.domain, from: move.previousPort, to: move.port), default: []]
                .append(key.address)
        }
        for (way, addresses) in ways.sorted(by: {
            ($0.key.from, $0.key.to) < ($1.key.from, $1.key.to)
        }) {
            if addresses.count > MoveMonitor.singleCount {
                findings.append(
                    .movedTogether(
                        addresses.count, domain: way.domain, from: way.from, to: way.to))
            } else {
                findings += addresses.map {
                    .moved($0, domain: way.domain, from: way.from, to: way.to)
                }
            }
        }
        return findings
    }

    private func isStormy(_ pair: Pair, at time: UInt64) -> Bool {
        guard let window = windows[pair] else { return false }
        return time < window.stormUntil
    }

    private mutating func count(_ move: AddressNotice, _ findings: inout [Finding]) {
        let pair = Pair(
            domain: FDBKey(word: move.key).domain, move.port, move.previousPort)
        guard windows[pair] != nil || windows.count < MoveMonitor.capacity else { return }
        var window = windows[pair] ?? Window(start: move.time)
        if move.time &- window.start >= MoveMonitor.second {
            window.start = move.time
            window.forth = 0
            window.back = 0
        }
        if move.port == pair.second { window.forth += 1 } else { window.back += 1 }
        let count = window.forth + window.back
        if count >= MoveMonitor.stormCount, min(window.forth, window.back) * 4 >= count {
            if move.time >= window.stormUntil { findings.append(.storm(pair, count: count)) }
            window.stormUntil = move.time + MoveMonitor.stormPause
        }
        windows[pair] = window
    }

    /// Whether the address has been going back and forth between these ports.
    private mutating func alternate(
        _ key: FDBKey, _ pair: Pair, at time: UInt64, _ findings: inout [Finding]
    ) -> Bool {
        guard alternations[key.word] != nil || alternations.count < MoveMonitor.capacity else {
            return false
        }
        var entry =
            alternations[key.word] ?? Alternation(pair: pair, start: time, last: time, count: 0)
        if entry.pair != pair {
            entry = Alternation(pair: pair, start: time, last: time, count: 0)
        }
        entry.count += 1
        entry.last = time
        defer { alternations[key.word] = entry }
        if entry.count == 2 || entry.count == MoveMonitor.alternationCount {
            findings.append(.suspicion(pair))
        }
        if !entry.wasTold, entry.count >= MoveMonitor.alternationCount,
            time &- entry.start >= MoveMonitor.alternationSpan
        {
            entry.wasTold = true
            findings.append(.alternation(key.address, pair, count: entry.count))
        }
        return entry.count >= MoveMonitor.alternationCount
    }

    private mutating func prune(now: UInt64) {
        if windows.count > MoveMonitor.capacity / 2 {
            windows = windows.filter {
                $0.value.start + MoveMonitor.second > now || $0.value.stormUntil > now
            }
        }
        alternations = alternations.filter { $0.value.last + MoveMonitor.alternationPause > now }
    }
}
