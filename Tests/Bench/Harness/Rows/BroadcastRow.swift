/// Broadcast frames flat out into one port, to fifteen others (RFC 2889 section 5.10).
struct BroadcastRow: Row {
    private static let id = "broadcast-15"

    let lines = [
        Line(
            id: id, what: "broadcast to 15 ports, delivered", against: "Open vSwitch",
            unit: "kframes/s", isMoreBetter: true, goal: .ratio(floor: 2, aim: 4),
            how: "64 bytes, flat out; the sum of what the fifteen devices received")
    ]

    func measure(_ bench: Bench) throws -> [Finding] {
        try bench.compare(
            lines, bench.heddle, OpenVSwitchSystem(), ports: 16, pairs: bench.shortPairs
        ) { rig in
            let report = try bench.flow(
                FrameLoad(destination: "ff:ff:ff:ff:ff:ff"), from: rig.ports[0],
                to: Array(rig.ports.dropFirst()), seconds: bench.shortSeconds)
            return Trial([Self.id: report.receivedRate / 1000], frames: Double(report.received))
        }
    }
}
