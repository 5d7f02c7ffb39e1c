/// What was found of a line of the table.
struct Finding: Codable, Sendable {
    let line: Line
    /// Why there is nothing, if so.
    var notMeasured: String?
    /// More than 1 is in Heddle's favour.
    var ratio: Interval?
    var ours: Side?
    var theirs: Side?
    var note: String?
    /// Undisturbed pairs, of which the ratio is made, and all that were made.
    var keptPairs = 0
    var pairs: [Pair] = []

    /// Nothing yet; the caller fills in what it has.
    init(_ line: Line) { self.line = line }

    /// A value that is judged by itself.
    init(_ line: Line, value: Double, note: String? = nil) {
        self.line = line
        ours = Side(value, [])
        self.note = note
    }

    init(_ line: Line, notMeasured reason: String, pairs: [Pair] = []) {
        self.line = line
        notMeasured = reason
        self.pairs = pairs
    }

    var verdict: Verdict {
        guard notMeasured == nil, let value = ours?.value else { return .notMeasured }
        switch line.goal {
        case .none: return .noGoal
        case .same:
            guard let ratio else { return .notMeasured }
            return ratio.low <= 1 && ratio.high >= 1 ? .met : .missed
        case .ratio(let floor, let aim):
            guard let ratio else { return .notMeasured }
            return ratio.low >= aim ? .aimMet : ratio.low >= floor ? .met : .missed
        case .atMost(let floor, let aim):
            return value <= aim ? .aimMet : value <= floor ? .met : .missed
        case .atLeast(let floor, let aim):
            return value >= aim ? .aimMet : value >= floor ? .met : .missed
        }
    }
}

enum Verdict: String, Codable, Sendable {
    case aimMet = "yes, and the aim"
    case met = "yes"
    case missed = "no"
    case noGoal = "–"
    case notMeasured = "not measured"
}

/// One side's absolute figures: medians of the undisturbed trials.
struct Side: Codable, Sendable {
    let value: Double
    /// Of the whole machine; see ``CPUTime``.
    var nanosecondsPerFrame: Double?
    var secondsPerGibibyte: Double?

    init(_ value: Double, _ trials: [Trial]) {
        self.value = value
        func cost(_ amount: (Trial) -> Double?) -> Double? {
            let costs = trials.compactMap { trial in
                amount(trial).flatMap { $0 > 0 ? trial.busySeconds / $0 : nil }
            }
            return costs.isEmpty ? nil : Statistics.median(costs)
        }
        nanosecondsPerFrame = cost(\.frames).map { $0 * 1e9 }
        secondsPerGibibyte = cost(\.bytes).map { $0 * 1_073_741_824 }
    }
}
