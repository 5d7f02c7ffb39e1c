/// How fast new addresses are learned (RFC 2889 section 5.8).
struct LearningRow: Row {
    private static let addresses = 20_000
    private static let id = "learning-rate"

    let lines = [
        Line(
            id: id, what: "learning rate", against: "Open vSwitch", unit: "kaddresses/s",
            isMoreBetter: true, goal: .ratio(floor: 10, aim: 50),
            how:
                "one frame from each of \(addresses.formatted()) new addresses, flat out; then one "
                + "to each: all arrive at the learned port, none at a third. OVS with "
                + "mac-table-size=1000000, Heddle with fdb-limit 1048576")
    ]

    func measure(_ bench: Bench) throws -> [Finding] {
        var peer = OpenVSwitchSystem()
        peer.bridgeSettings = ["mac-table-size=1000000"]
        // Both sides of a pair use the same addresses, each pair new ones.
        var first: [String: Int] = [:]
        return try bench.compare(lines, CapacityRow.system(bench), peer, ports: 3) { rig in
            let load = LearningLoad(
                addresses: Self.addresses, first: first[rig.system.name, default: 1],
                verifyRate: 15_000)
            first[rig.system.name] = load.first + load.addresses
            let report = try bench.learn(load, at: rig)
            guard report.learned == load.addresses else {
                throw NotMeasured(
                    "\(rig.system.name) learned \(report.learned) of \(load.addresses) addresses and "
                        + "flooded \(report.flooded) frames")
            }
            return Trial([Self.id: report.learnRate / 1000], frames: Double(report.forwarded))
        }
    }
}

/// How many addresses are learned before frames to some are flooded (RFC 2889 section 5.7).
struct CapacityRow: Row {
    private static let addresses = 1_000_000

    let lines = [
        Line(
            id: "learning-capacity", what: "addresses learned without flooding", against: nil,
            unit: "addresses", isMoreBetter: true,
            goal: .atLeast(floor: Double(addresses), aim: Double(addresses)),
            how: "as learning-rate, with \(addresses.formatted()) addresses; Open vSwitch has 8192 "
                + "by default and takes at most 1,000,000")
    ]

    static func system(_ bench: Bench) -> HeddleSystem {
        var system = bench.heddle
        system.settings = ["switch: {fdb-limit: 1048576, port-fdb-limit: 1048576}"]
        return system
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        try bench.withRig(of: Self.system(bench), ports: 3) { rig in
            let report = try bench.learn(
                LearningLoad(addresses: Self.addresses, verifyRate: 100_000), at: rig)
            try rig.check()
            return [
                Finding(
                    lines[0], value: Double(report.learned),
                    note: "\(Int(report.learnRate / 1000)) k a second; \(report.flooded) frames "
                        + "flooded")
            ]
        }
    }
}
