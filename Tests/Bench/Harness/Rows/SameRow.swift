/// A against A: two instances of the same Heddle. What differs here is the benchmark's own error; a
/// bench whose interval does not contain 1 measures something else than switches.
struct SameRow: Row {
    private let tcp = Line(
        id: "aa-tcp", what: "A/A: TCP, one flow", against: "itself", unit: "Gbit/s",
        isMoreBetter: true, goal: .same, how: "as tap-tcp, with the same program on both sides")
    private let frames = Line(
        id: "aa-64", what: "A/A: 64-byte frames", against: "itself", unit: "kframes/s",
        isMoreBetter: true, goal: .same, how: "as tap-64, with the same program on both sides")

    var lines: [Line] { [tcp, frames] }

    func measure(_ bench: Bench) throws -> [Finding] {
        let bulk = try bench.compare([tcp], bench.heddle, bench.heddle) { rig in
            let result = try TCPLoad(flows: 1).apply(to: rig, seconds: bench.seconds)
            return Trial([tcp.id: result.gigabits], bytes: result.bytes)
        }
        let small = try bench.compare([frames], bench.heddle, bench.heddle) { rig in
            let report = try bench.flow(
                FrameLoad(), from: rig.ports[0], to: [rig.ports[1]], seconds: bench.seconds)
            return Trial(
                [frames.id: report.receivedRate / 1000], frames: Double(report.received))
        }
        return bulk + small
    }
}
