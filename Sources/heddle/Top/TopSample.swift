import ControlAPI

/// Counters of one moment, of which `heddle top` needs two.
struct TopSample {
    struct Row {
        var name: String
        /// Nil for what is neither up nor down: a network.
        var state: PortState?
        var receivedFrames: UInt64
        var receivedBytes: UInt64
        var transmittedFrames: UInt64
        var transmittedBytes: UInt64
        var drops: UInt64
    }

    /// By the switch's own clock, so that a slow answer makes no peak.
    var uptimeSeconds: Double
    var rows: [Row]
    var drops: DropList

    /// Ports, tunnels and underlays. Their drops are those of `heddle drops`, which knows of the
    /// kernel's as well.
    init(ports stats: StatsInfo, drops: DropList) {
        var counts: [String: UInt64] = [:]
        for drop in drops.drops { counts[drop.port, default: 0] &+= drop.count }
        self.init(
            uptimeSeconds: stats.uptimeSeconds,
            rows: stats.ports.map { port in
                Row(port.name, port.state, port.counters, drops: counts[port.name] ?? 0)
            }, drops: drops)
    }

    init(networks: NetworkList, uptimeSeconds: Double, drops: DropList) {
        self.init(
            uptimeSeconds: uptimeSeconds,
            rows: networks.networks.map { network in
                let counters = network.counters
                return Row(
                    network.name, nil, counters,
                    drops: counters.ingressDroppedFrames &+ counters.egressDroppedFrames)
            }, drops: drops)
    }

    init(uptimeSeconds: Double, rows: [Row], drops: DropList) {
        self.uptimeSeconds = uptimeSeconds
        self.rows = rows
        self.drops = drops
    }
}

extension TopSample.Row {
    init(_ name: String, _ state: PortState?, _ counters: TrafficCounters, drops: UInt64) {
        self.init(
            name: name, state: state, receivedFrames: counters.receivedFrames,
            receivedBytes: counters.receivedBytes, transmittedFrames: counters.transmittedFrames,
            transmittedBytes: counters.transmittedBytes, drops: drops)
    }
}
