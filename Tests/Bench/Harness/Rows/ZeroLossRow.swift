/// The highest rate without loss at one size (RFC 2544 section 26.1), searched once for each side.
///
/// Its interval is not a bootstrap: it is what the brackets of the two searches leave open.
struct ZeroLossRow: Row {
    let size: Int
    /// Whether the rates found are then held for 30 seconds.
    var isConfirmed = false

    var lines: [Line] {
        [
            Line(
                id: "zero-loss-\(size)", what: "zero-loss rate, \(size) bytes",
                against: "Open vSwitch", unit: "kframes/s", isMoreBetter: true,
                goal: .ratio(floor: 2, aim: 4),
                how:
                    "bisection, paced open loop, counted by the far device; \(size) bytes with the "
                    + "frame check sequence, \(size - 4) through the TAP; queues of "
                    + "\(Rig.queueLength) frames on both sides")
        ]
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        try bench.withRig(of: bench.heddle) { ours in
            try bench.withRig(of: OpenVSwitchSystem()) { theirs in
                let (ourSearch, theirSearch) = (try search(bench, ours), try search(bench, theirs))
                guard theirSearch.low > 0, ourSearch.low > 0 else {
                    throw NotMeasured("something was lost at every rate that was tried")
                }
                var finding = Finding(lines[0])
                finding.ratio = Interval(
                    median: ourSearch.low / theirSearch.low,
                    low: ourSearch.low / theirSearch.high, high: ourSearch.high / theirSearch.low)
                finding.ours = Side(ourSearch.low / 1000, [])
                finding.theirs = Side(theirSearch.low / 1000, [])
                var notes = ourSearch.isSenderLimit ? ["Heddle's rate is the sender's limit"] : []
                if isConfirmed {
                    let held = [
                        try confirm(bench, ours, ourSearch.low),
                        try confirm(bench, theirs, theirSearch.low),
                    ]
                    notes.append("held for 30 s: " + held.joined(separator: "; "))
                }
                finding.note = notes.isEmpty ? nil : notes.joined(separator: "; ")
                return [finding]
            }
        }
    }

    private func search(_ bench: Bench, _ rig: Rig) throws -> ZeroLossSearch {
        // Flat out some systems forward less than when paced: what they were sent is the ceiling.
        let flatOut = try flow(bench, rig, rate: nil, seconds: 0.5)
        let search = try ZeroLossSearch(
            ceiling: max(flatOut.sentRate, flatOut.receivedRate) * 1.1,
            precision: bench.isFull ? 0.02 : 0.04
        ) { rate in
            try flow(bench, rig, rate: rate, seconds: bench.shortSeconds)
        }
        try rig.check()
        return search
    }

    /// Holds a rate for 30 seconds. What is lost is told in time as well: where both sides lose as much
    /// of that, it was the machine that paused for longer than a queue lasts.
    private func confirm(_ bench: Bench, _ rig: Rig, _ rate: Double) throws -> String {
        let report = try flow(bench, rig, rate: rate, seconds: 30)
        let lost = (report.lost ?? 0) + report.rejected
        return "\(rig.system.name) lost \(lost) of \(report.sent + report.rejected) frames "
            + "(\(Int(Double(lost) / rate * 1000)) ms of them)"
    }

    private func flow(
        _ bench: Bench, _ rig: Rig, rate: Double?, seconds: Double
    ) throws -> FrameLoad.Report {
        try bench.flow(
            FrameLoad(size: size - 4, rate: rate), from: rig.ports[0], to: [rig.ports[1]],
            seconds: seconds)
    }
}
