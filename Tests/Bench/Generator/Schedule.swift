/// How fast to send.
enum Rate: Sendable {
    case max
    /// Frames per second.
    case paced(Double)
}

/// When each frame of a paced load is due, in monotonic time.
struct Schedule {
    private let start: UInt64
    private let interval: Double
    private let total: Int
    /// How many were tried so far.
    var offered = 0

    init(perSecond: Double, from start: UInt64, to end: UInt64) {
        self.start = start
        interval = 1e9 / perSecond
        total = Int((Double(end - start) / interval).rounded())
    }

    init(perSecond: Double, from start: UInt64, count: Int) {
        self.start = start
        interval = 1e9 / perSecond
        total = count
    }

    /// When the next is due; nil when all were tried.
    var nextDue: UInt64? { offered < total ? due(offered) : nil }

    func due(_ number: Int) -> UInt64 { start + UInt64(Double(number) * interval) }

    /// How many that were not tried are due.
    func dueCount(at now: UInt64) -> Int {
        guard now >= start else { return 0 }
        return min(total, Int(Double(now - start) / interval) + 1) - offered
    }
}
