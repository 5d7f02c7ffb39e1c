/// Bulk TCP between two ports, both ways.
struct TCPRow: Row {
    let id: String
    var flows = 1
    let against: @Sendable (Bench) -> any System
    let peer: String
    let goal: Goal
    /// Whether the two sides are so close that more pairs have to tell them apart.
    var isClose = false

    var lines: [Line] {
        [
            Line(
                id: id, what: "TCP, \(flows == 1 ? "one flow" : "\(flows) flows"), both ways",
                against: peer, unit: "Gbit/s", isMoreBetter: true, goal: goal,
                how: "iperf3 there, then back, \(TCPLoad.congestionControl); mean of both")
        ]
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        try bench.compare(
            lines, bench.heddle, against(bench), pairs: isClose ? 2 * bench.pairs : bench.pairs
        ) { rig in
            try Self.trial(id, flows: flows, bench, rig)
        }
    }

    static func trial(_ id: String, flows: Int, _ bench: Bench, _ rig: Rig) throws -> Trial {
        let result = try TCPLoad(flows: flows).apply(to: rig, seconds: bench.seconds)
        return Trial([id: result.gigabits], bytes: result.bytes)
    }
}
