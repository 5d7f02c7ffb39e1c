import Foundation

/// What many hosts, networks and remote addresses cost: to plan and apply, in memory, and per frame.
struct ScaleRow: Row {
    private static let size =
        "100 hosts, \(ScaleSystem.networkCount.formatted()) networks, "
        + "\(ScaleSystem.addressCount.formatted()) remote MACs"

    private let time = Line(
        id: "overlay-scale-apply", what: "\(size): plan and apply", against: nil, unit: "s",
        isMoreBetter: false, goal: .atMost(floor: 2, aim: 1),
        how:
            "wall time of 'topology plan' and of 'topology apply' together, the clients' start and "
            + "the parsing of the file included, on a switch with one port and no tunnel; median "
            + "of three")
    private let memory = Line(
        id: "overlay-scale-rss", what: "\(size): resident memory", against: nil, unit: "MiB",
        isMoreBetter: false, goal: .atMost(floor: 200, aim: 100),
        how: "VmRSS of the daemon when it has learned all addresses from the tunnels")
    private let lookups = Line(
        id: "overlay-scale-64", what: "\(size): 64-byte frames to all of them",
        against: "itself, 10 hosts", unit: "kframes/s", isMoreBetter: true,
        goal: .ratio(floor: 0.95, aim: 1.0),
        how: "flat out from a trunk of all networks, round the MACs in the order of their hosts, "
            + "over the wire underlay; datagrams that the far end received. With ten hosts the "
            + "networks, flood lists and MACs are as many, the tunnels fewer")

    var lines: [Line] { [time, memory, lookups] }

    func measure(_ bench: Bench) throws -> [Finding] {
        func system(_ hostCount: Int) -> ScaleSystem {
            ScaleSystem(binary: bench.heddle.binary, hostCount: hostCount)
        }
        var findings = try atRest(bench, system(100))
        findings += try bench.compare(
            [lookups], system(100), system(10), ports: 1, pairs: 2 * bench.shortPairs
        ) { rig in
            guard let far = rig.others.first else { throw NotMeasured("there is no other host") }
            let report = try bench.flow(
                FrameLoad(targets: ScaleSystem.Files(rig.directory).targets), from: rig.ports[0],
                to: [SwitchPort(namespace: far, device: HostPair.device, address: "")],
                seconds: bench.shortSeconds)
            // An address that had been forgotten would be flooded to ten hosts.
            guard report.received <= report.sent + report.sent / 50 else {
                throw NotMeasured("\(report.received) datagrams came of \(report.sent) frames")
            }
            return Trial([lookups.id: report.receivedRate / 1000], frames: Double(report.received))
        }
        return findings
    }

    private func atRest(_ bench: Bench, _ full: ScaleSystem) throws -> [Finding] {
        var bare = full
        bare.isBare = true
        return try bench.withRig(of: bare, ports: 1) { rig in
            let files = ScaleSystem.Files(rig.directory)
            let client = [bare.binary, "--socket", "\(rig.directory)/heddle.sock"]
            var seconds: [Double] = []
            for round in 0..<3 {
                if round > 0 { try bare.client(rig.directory, ["topology", "apply", files.base]) }
                let clock = ContinuousClock()
                let plan = try clock.measure {
                    // 2: there is something to do.
                    try Program.run([
                        "sh", "-c",
                        "\(client[0]) topology plan \(files.full) "
                            + "\(client[1]) \(client[2]) >/dev/null; test $? -eq 2",
                    ])
                }
                let apply = try clock.measure {
                    _ = try bare.client(rig.directory, ["topology", "apply", files.full])
                }
                seconds.append((plan + apply) / .seconds(1))
            }
            try bare.teach(at: rig)
            let resident = try rig.processes.map { try CPUTime.residentMebibytes(of: $0) }
            try rig.check()
            return [
                Finding(time, value: Statistics.median(seconds)),
                Finding(memory, value: resident.reduce(0, +)),
            ]
        }
    }
}
