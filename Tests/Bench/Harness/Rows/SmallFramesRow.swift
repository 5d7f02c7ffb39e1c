/// 64-byte frames as fast as one core can send them, counted at the far device.
struct SmallFramesRow: Row {
    let id: String
    let against: @Sendable (Bench) -> any System
    let peer: String
    let goal: Goal
    /// Whether the two sides are so close that more pairs have to tell them apart.
    var isClose = false

    var lines: [Line] {
        [
            Line(
                id: id, what: "64-byte frames, flat out", against: peer, unit: "kframes/s",
                isMoreBetter: true, goal: goal,
                how: "sendmmsg on AF_PACKET from core 0; frames that the far device received")
        ]
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        try bench.compare(
            lines, bench.heddle, against(bench),
            pairs: isClose ? 2 * bench.shortPairs : bench.shortPairs
        ) { rig in
            try Self.trial(id, bench, rig)
        }
    }

    static func trial(_ id: String, _ bench: Bench, _ rig: Rig) throws -> Trial {
        let report = try bench.flow(
            FrameLoad(), from: rig.ports[0], to: [rig.ports[1]], seconds: bench.shortSeconds)
        return Trial([id: report.receivedRate / 1000], frames: Double(report.received))
    }
}
