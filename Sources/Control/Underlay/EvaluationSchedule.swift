// When paths are looked at again. Events come in bursts (one `ip link set down` is a dozen of them, a
// routing daemon's reload thousands), and the first of a burst starts a short wait in which the others
// join it. Neighbours change all the time with many peers, and what they change is only shown, so
// they wait longer. And because a burst may have no end, at most a tenth of the time goes into
// evaluation, whatever it costs.

import Netlink

struct EvaluationSchedule {
    typealias Instant = ContinuousClock.Instant

    enum Scope {
        /// The next hops' states only.
        case neighbours
        case everything
    }

    /// From an event to the evaluation.
    static let delay = Duration.milliseconds(20)
    static let neighbourDelay = Duration.milliseconds(250)
    /// Learned path MTUs are announced neither when they are learned nor when they expire.
    static let period = Duration.seconds(60)
    /// After the kernel gave no answer.
    static let retryDelay = Duration.seconds(1)
    /// How many times its own duration lies between an evaluation and the next.
    private static let restFactor = 9

    private var everythingTime: Instant
    private var neighboursTime: Instant?
    /// No evaluation before this.
    private var restUntil: Instant

    /// Everything is due at once.
    init(now: Instant) {
        everythingTime = now
        restUntil = now
    }

    /// What is to be evaluated next, and when.
    var next: (scope: Scope, time: Instant) {
        if let neighboursTime, neighboursTime < everythingTime {
            return (.neighbours, max(neighboursTime, restUntil))
        }
        return (.everything, max(everythingTime, restUntil))
    }

    /// Events of these kinds arrived.
    mutating func note(_ changes: UnderlayChanges, now: Instant) {
        guard !changes.isEmpty else { return }
        if changes == .neighbours {
            // The first of them sets the time.
            neighboursTime = neighboursTime ?? now + Self.neighbourDelay
        } else {
            everythingTime = min(everythingTime, now + Self.delay)
        }
    }

    /// Somebody wants to know at once.
    mutating func request(now: Instant) { everythingTime = min(everythingTime, now) }

    /// An evaluation is over that began at `start`.
    mutating func finish(_ scope: Scope, start: Instant, now: Instant, succeeded: Bool) {
        restUntil = now + (now - start) * Self.restFactor
        neighboursTime = nil
        if scope == .everything || !succeeded {
            everythingTime = now + (succeeded ? Self.period : Self.retryDelay)
        }
    }
}
