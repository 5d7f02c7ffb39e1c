/// Round trips through the switch, while it idles or carries half of what the slower one can.
struct LatencyRow: Row {
    private let isLoaded: Bool
    private let median, tail: Line
    let lines: [Line]

    init(isLoaded: Bool) {
        self.isLoaded = isLoaded
        func line(_ percentile: String) -> Line {
            Line(
                id: "latency-\(isLoaded ? "half" : "idle")-\(percentile)",
                what: "round trip, \(isLoaded ? "half load" : "idle"), \(percentile)",
                against: "Open vSwitch", unit: "µs", isMoreBetter: false,
                goal: .ratio(floor: 1.5, aim: 3),
                how: "1000 requests/s, open loop, timed from when each was due; one polling thread "
                    + "for both ends on core 0"
                    + (isLoaded
                        ? "; 64-byte frames the same way at half the lower flat-out rate" : ""))
        }
        median = line("p50")
        tail = line("p99")
        lines = [median, tail]
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        let peer = OpenVSwitchSystem()
        var requests = RequestLoad()
        if isLoaded {
            let rates = try ([bench.heddle, peer] as [any System]).map { system in
                try bench.withRig(of: system) { rig in
                    try bench.flow(
                        FrameLoad(), from: rig.ports[0], to: [rig.ports[1]],
                        seconds: bench.shortSeconds
                    ).receivedRate
                }
            }
            requests.load = (rates.min() ?? 0) / 2
        }
        // The hypervisor takes a core away for milliseconds now and then. A short trial often has none
        // of that, and the median over many trials then shows the switch's own tail.
        var findings = try bench.compare(
            lines, bench.heddle, peer, pairs: bench.shortPairs
        ) { rig in
            let report = try bench.requests(
                requests, from: rig.ports[0], to: rig.ports[1], seconds: bench.shortSeconds)
            return Trial([median.id: report.latency.p50, tail.id: report.latency.p99])
        }
        if let load = requests.load, findings[0].note == nil {
            findings[0].note = "the load was \(Int(load / 1000)) kframes/s"
        }
        return findings
    }
}
