/// What the flight recorder costs: Heddle with it and without it, 64-byte frames between TAPs.
struct RecorderRow: Row {
    private let line = Line(
        id: "recorder-64", what: "64-byte frames, flight recorder on", against: "recorder off",
        unit: "kframes/s", isMoreBetter: true, goal: .ratio(floor: 0.97, aim: 1),
        how: "as tap-64; 'switch: {recorder: false}' on the other side")

    var lines: [Line] { [line] }

    func measure(_ bench: Bench) throws -> [Finding] {
        var without = bench.heddle
        without.name = "Heddle without recorder"
        without.settings = ["switch: {recorder: false}"]
        return try bench.compare(lines, bench.heddle, without, pairs: 2 * bench.shortPairs) {
            try SmallFramesRow.trial(line.id, bench, $0)
        }
    }
}

/// The same and the capture points themselves in the switching core, where nothing hides them: the
/// core against itself with other options, or against a build that has no capture points.
struct CoreCostRow: Row {
    enum Subject: String, Sendable {
        case recorder = "recorder-core"
        case captureOff = "capture-off"
    }

    let subject: Subject

    var lines: [Line] {
        switch subject {
        case .recorder:
            [
                Line(
                    id: subject.rawValue, what: "switching core, flight recorder on",
                    against: "recorder off", unit: "ns/frame", isMoreBetter: false,
                    goal: .ratio(floor: 0.97, aim: 1),
                    how: "as core-4k, the same program with and without a recorder")
            ]
        case .captureOff:
            [
                Line(
                    id: subject.rawValue, what: "switching core, nothing captured",
                    against: "no capture points", unit: "ns/frame", isMoreBetter: false,
                    goal: .same,
                    how: "as core-4k; the other side is built with HEDDLE_WITHOUT_CAPTURE")
            ]
        }
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        func trial(_ program: String, _ options: [String]) throws -> Trial {
            let report = try CoreReport.run(program, addresses: 4096, options: options, bench)
            return Trial([subject.rawValue: report.nanosecondsPerFrame])
        }
        let core = "\(bench.products)/heddle-core"
        return try bench.interleave(lines, pairs: 2 * bench.shortPairs) {
            switch subject {
            case .recorder:
                Contest(
                    ours: { try trial(core, ["--recorder", "1"]) }, theirs: { try trial(core, []) },
                    end: {})
            case .captureOff:
                Contest(
                    ours: { try trial(core, []) },
                    theirs: { try trial("\(bench.twins)/heddle-core-bare", []) }, end: {})
            }
        }
    }
}
