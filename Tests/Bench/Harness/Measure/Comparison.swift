import Foundation

/// Two sides that are ready to be loaded in turn.
struct Contest {
    let ours: () throws -> Trial
    let theirs: () throws -> Trial
    let end: () -> Void
}

/// Two neighbouring trials, and how steady the machine was about them.
struct Pair: Codable, Sendable {
    let ours: Trial
    let theirs: Trial
    /// Whether ours came first.
    let isOursFirst: Bool
    /// The canaries before, between and after.
    let canaries: [Canary]
    /// The largest distance between two of them.
    let drift: Double
    /// The share of CPU time that the hypervisor gave to others.
    let stolen: Double

    static let greatestDrift = 0.10
    static let greatestTheft = 0.02

    var isDisturbed: Bool { drift > Self.greatestDrift || stolen > Self.greatestTheft }
}

/// Interleaved pairs of trials: A B, B A, A B, B A, …
///
/// Both orders occur equally often, so that a drift of the machine, or what a first trial leaves
/// behind for the second, favours nobody. A pair whose canaries differ by more than 10 %, or in which
/// more than 2 % of the CPU time was stolen, is discarded and made again in the same order, until half
/// as many pairs again as wanted were made. What is lacking then is lacking, and said; if fewer than four
/// are left, the least disturbed of the others make up four, and that is said as well.
struct Comparison {
    /// All that were made, in order.
    private(set) var pairs: [Pair] = []
    private var wanted: Int

    private static let fewest = 4

    private var undisturbed: [Pair] { pairs.filter { !$0.isDisturbed } }

    /// What the result is made of.
    private var kept: [Pair] {
        let best = undisturbed
        guard best.count < Self.fewest else { return best }
        let others = pairs.filter(\.isDisturbed).sorted { $0.drift < $1.drift }
        return best + others.prefix(Self.fewest - best.count)
    }

    private var note: String? {
        let count = undisturbed.count
        guard count < wanted else { return nil }
        return "only \(count) of \(wanted) pairs were undisturbed"
            + (count < Self.fewest ? "; the least disturbed others were added" : "")
    }

    static func run(
        pairs wanted: Int, probe: CanaryProbe, progress: Progress, start: () throws -> Contest
    ) throws -> Comparison {
        var comparison = Comparison(wanted: wanted)
        var contest: Contest?
        defer { contest?.end() }
        let most = wanted + (wanted + 1) / 2
        while comparison.undisturbed.count < wanted, comparison.pairs.count < most {
            if comparison.pairs.count % 2 == 0 {
                contest?.end()
                contest = nil
                contest = try start()
            }
            guard let current = contest else { preconditionFailure("no contest was started") }
            progress.step("\(comparison.undisturbed.count + 1) of \(wanted)")
            let isOursFirst = comparison.undisturbed.count % 2 == 0
            comparison.pairs.append(
                try pair(of: current, isOursFirst: isOursFirst, probe: probe))
        }
        return comparison
    }

    private static func pair(
        of contest: Contest, isOursFirst: Bool, probe: CanaryProbe
    ) throws -> Pair {
        let start = try CPUTime.now()
        var canaries = [try probe.take()]
        func accounted(_ trial: () throws -> Trial) throws -> Trial {
            let before = try CPUTime.now()
            var result = try trial()
            result.busySeconds = (try CPUTime.now() - before).busy
            canaries.append(try probe.take())
            return result
        }
        let first = try accounted(isOursFirst ? contest.ours : contest.theirs)
        let second = try accounted(isOursFirst ? contest.theirs : contest.ours)
        let elapsed = try CPUTime.now() - start
        let drift = canaries.flatMap { one in canaries.map { one.distance(from: $0) } }.max() ?? 0
        return Pair(
            ours: isOursFirst ? first : second, theirs: isOursFirst ? second : first,
            isOursFirst: isOursFirst, canaries: canaries, drift: drift,
            stolen: elapsed.total > 0 ? elapsed.stolen / elapsed.total : 0)
    }

    /// The line's result: median of the ratios of the undisturbed pairs, with its interval.
    func finding(for line: Line) -> Finding {
        let values = kept.compactMap { pair -> (ours: Double, theirs: Double)? in
            guard let ours = pair.ours.values[line.id], let theirs = pair.theirs.values[line.id],
                ours > 0, theirs > 0
            else { return nil }
            return (ours, theirs)
        }
        guard !values.isEmpty else {
            return Finding(line, notMeasured: "no pair has a value for it", pairs: pairs)
        }
        let ratios = values.map { line.isMoreBetter ? $0.ours / $0.theirs : $0.theirs / $0.ours }
        var finding = Finding(line)
        finding.ratio = Statistics.interval(of: ratios)
        finding.ours = Side(Statistics.median(values.map(\.ours)), kept.map(\.ours))
        finding.theirs = Side(Statistics.median(values.map(\.theirs)), kept.map(\.theirs))
        finding.pairs = pairs
        finding.keptPairs = values.count
        finding.note = note
        return finding
    }

    private init(wanted: Int) { self.wanted = wanted }
}
