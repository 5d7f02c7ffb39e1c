/// A against A: two instances of the same Heddle. What differs here is the benchmark's own error; a
/// bench whose interval does not contain 1 measures something else than switches.
struct SameTCPRow: Row {
    private let line = Line(
        id: "aa-tcp", what: "A/A: TCP, one flow", against: "itself", unit: "Gbit/s",
        isMoreBetter: true, goal: .same, how: "as tap-tcp, with the same program on both sides")

    var lines: [Line] { [line] }

    func measure(_ bench: Bench) throws -> [Finding] {
        try bench.compare(lines, bench.heddle, bench.heddle) { rig in
            try TCPRow.trial(line.id, flows: 1, bench, rig)
        }
    }
}

/// The same for small frames.
struct SameSmallFramesRow: Row {
    private let line = Line(
        id: "aa-64", what: "A/A: 64-byte frames", against: "itself", unit: "kframes/s",
        isMoreBetter: true, goal: .same, how: "as tap-64, with the same program on both sides")

    var lines: [Line] { [line] }

    func measure(_ bench: Bench) throws -> [Finding] {
        try bench.compare(lines, bench.heddle, bench.heddle, pairs: bench.shortPairs) { rig in
            try SmallFramesRow.trial(line.id, bench, rig)
        }
    }
}
