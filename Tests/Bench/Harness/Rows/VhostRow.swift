/// Two guests that send to each other as fast as they can, through vhost-user ports.
struct VhostRow: Row {
    enum Peer: Sendable { case testpmd, openVSwitch }

    let id: String
    /// Bytes of a frame, with FCS, as it is called.
    let size: Int
    var isPacked = false
    var pairs = 1
    let peer: Peer
    let goal: Goal

    var lines: [Line] {
        let hosts = pairs == 1 ? "" : ", \(pairs.formatted()) pairs of MACs"
        let rings = isPacked ? ", packed ring" : peer == .testpmd ? ", split ring" : ""
        let against =
            switch peer {
            case .testpmd: "testpmd io"
            case .openVSwitch: "OVS-DPDK"
            }
        return [
            Line(
                id: id, what: "vhost-user, both ways: \(size)-byte frames\(hosts)\(rings)",
                against: against, unit: "kframes/s", isMoreBetter: true, goal: goal,
                how: "DPDK's virtio-user driver plays two guests on core 0 (Tests/Bench/C/DPDK); "
                    + "frames received per second and direction, \(size - 4) bytes without FCS; "
                    + "queues of 1024, no hugepages; the peer is stopped while Heddle runs")
        ]
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        var ours = bench.heddleVhost
        let guests = Guests.Setup(isPacked: isPacked, pairs: pairs)
        let theirs: any VhostSystem
        switch peer {
        case .testpmd: theirs = TestpmdSystem()
        case .openVSwitch:
            var system = OpenVSwitchDPDKSystem()
            if pairs > 1 {
                system.bridgeSettings = ["mac-table-size=65536"]
                // It raises its limit of flows, 10,000 at first, by 1000 each half second.
                system.settlingSeconds = 8
            }
            theirs = system
        }
        if pairs > 1 { ours.settings = HeddleVhostSystem.manyAddresses }
        // Where a start takes long, there are fewer.
        let count = pairs == 1 ? bench.shortPairs : bench.pairs
        return try bench.compare(lines, ours, theirs, guests: guests, pairs: count) { rig in
            let report = try rig.guests.flow(
                size: size - 4, pairs: pairs, seconds: bench.shortSeconds, warmUp: 0.2)
            return Trial([id: report.rate / 1000], frames: Double(report.received))
        }
    }
}
