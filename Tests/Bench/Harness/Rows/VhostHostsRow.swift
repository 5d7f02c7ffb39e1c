/// What many hosts behind the ports cost.
struct VhostHostsRow: Row {
    private static let pairs = 10_000
    private let line = Line(
        id: "vhost-10k",
        what: "vhost-user, both ways: 64-byte frames, \(pairs.formatted()) pairs of MACs",
        against: "itself, one pair", unit: "kframes/s", isMoreBetter: true,
        goal: .ratio(floor: 0.9, aim: 1.0),
        how: "as vhost-64-split, on the same switch in turn, round the pairs frame by frame")

    var lines: [Line] { [line] }

    func measure(_ bench: Bench) throws -> [Finding] {
        var system = bench.heddleVhost
        system.settings = HeddleVhostSystem.manyAddresses
        return try bench.interleave(lines, pairs: bench.shortPairs) {
            let rig = try bench.rig(
                of: system, guests: Guests.Setup(pairs: Self.pairs))
            func trial(_ pairs: Int) throws -> Trial {
                try rig.measure { rig in
                    let report = try rig.guests.flow(
                        size: 60, pairs: pairs, seconds: bench.shortSeconds, warmUp: 0.2)
                    return Trial([line.id: report.rate / 1000], frames: Double(report.received))
                }
            }
            return Contest(
                ours: { try trial(Self.pairs) }, theirs: { try trial(1) }, end: { rig.stop() })
        }
    }
}
