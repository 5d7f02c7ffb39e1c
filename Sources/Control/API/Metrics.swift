import ControlAPI

/// Renders counters in the Prometheus text exposition format, version 0.0.4.
///
/// Cardinality is bounded: labels are ports, networks, reasons and workers, all of which the
/// operator declares, never MAC addresses; and past `maximumSeries` ports (or drop rows) the rest
/// is summed under the port `_other`, which no port can be called.
enum Metrics {
    static let maximumSeries = 2048
    static let rest = "_other"

    private static let portFamilies: [(String, String, @Sendable (TrafficCounters) -> UInt64)] = [
        ("received_frames", "Frames received, a super-frame counted once.", { $0.receivedFrames }),
        ("received_bytes", "Bytes received, without FCS.", { $0.receivedBytes }),
        (
            "received_segments", "Frames received, a super-frame counted as its segments.",
            { $0.receivedSegments }
        ),
        ("forwarded_frames", "Received frames sent to one port.", { $0.forwardedFrames }),
        (
            "flooded_frames", "Received frames sent to every port of their network.",
            { $0.floodedFrames }
        ),
        ("consumed_frames", "Received frames that the switch itself took.", { $0.consumedFrames }),
        ("ingress_dropped_frames", "Received frames dropped.", { $0.ingressDroppedFrames }),
        ("egress_copies", "Frames handed to the egress.", { $0.egressCopies }),
        (
            "transmitted_frames", "Frames transmitted, a super-frame counted once.",
            { $0.transmittedFrames }
        ),
        ("transmitted_bytes", "Bytes transmitted, without FCS.", { $0.transmittedBytes }),
        (
            "transmitted_segments", "Frames transmitted, a super-frame counted as its segments.",
            { $0.transmittedSegments }
        ),
        ("egress_dropped_frames", "Copies dropped at the egress.", { $0.egressDroppedFrames }),
    ]

    static func text(
        _ stats: StatsInfo, _ drops: DropList, _ tunnels: TunnelList = TunnelList(tunnels: []),
        events: [EventKind: UInt64] = [:]
    ) -> String {
        var page = Page()
        page.family("heddle_uptime_seconds", .gauge, "Seconds since the daemon was ready.")
        page.sample("\(stats.uptimeSeconds)")
        page.family("heddle_generation", .gauge, "Generation of the configuration in force.")
        page.sample("\(stats.generation)")

        let shown = stats.ports.prefix(maximumSeries)
        let others = stats.ports.dropFirst(maximumSeries)
        page.family("heddle_port_up", .gauge, "1 if frames can pass the port.")
        for port in shown {
            page.sample(port.state == .up ? "1" : "0", [("port", port.name)])
        }
        for (name, help, value) in portFamilies {
            page.family("heddle_port_\(name)_total", .counter, help)
            for port in shown { page.sample("\(value(port.counters))", [("port", port.name)]) }
            if !others.isEmpty {
                let sum = others.reduce(0 as UInt64) { $0 &+ value($1.counters) }
                page.sample("\(sum)", [("port", rest)])
            }
        }
        page.family("heddle_port_queued_frames", .gauge, "Copies that wait for the port now.")
        for port in shown { page.sample("\(port.counters.queuedFrames)", [("port", port.name)]) }

        appendTunnels(tunnels, to: &page)
        appendDrops(drops, to: &page)
        appendFDB(stats.fdb, to: &page)
        appendWorkers(stats.workers, to: &page)
        page.family("heddle_events_total", .counter, "Events, by kind.")
        for kind in EventKind.allCases {
            page.sample("\(events[kind] ?? 0)", [("kind", kind.rawValue)])
        }
        return page.text
    }

    /// A tunnel's traffic is among the ports'; here is what ports have not.
    private static func appendTunnels(_ list: TunnelList, to page: inout Page) {
        guard !list.tunnels.isEmpty else { return }
        let tunnels = list.tunnels.prefix(maximumSeries)
        page.family("heddle_tunnel_up", .gauge, "1 if frames can be sent through the tunnel.")
        for tunnel in tunnels {
            page.sample(tunnel.state == .up ? "1" : "0", [("tunnel", tunnel.name)])
        }
        page.family(
            "heddle_tunnel_maximum_packet_bytes", .gauge, "Largest IP packet that fits the path.")
        for tunnel in tunnels {
            page.sample("\(tunnel.maximumPacket)", [("tunnel", tunnel.name)])
        }
        page.family(
            "heddle_tunnel_last_heard_seconds", .gauge,
            "Seconds since anything came from the other end.")
        for tunnel in tunnels {
            guard let seconds = tunnel.lastHeardSeconds else { continue }
            page.sample("\(seconds)", [("tunnel", tunnel.name)])
        }
    }

    private static func appendDrops(_ drops: DropList, to page: inout Page) {
        page.family("heddle_drops_total", .counter, "Frames dropped, by reason.")
        for drop in drops.drops.prefix(maximumSeries) {
            page.sample(
                "\(drop.count)",
                [("port", drop.port), ("network", drop.network ?? ""), ("reason", drop.reason)])
        }
        var others: [String: UInt64] = [:]
        for drop in drops.drops.dropFirst(maximumSeries) {
            others[drop.reason, default: 0] &+= drop.count
        }
        for (reason, count) in others.sorted(by: { $0.key < $1.key }) {
            page.sample("\(count)", [("port", rest), ("network", ""), ("reason", reason)])
        }
    }

    private static func appendFDB(_ fdb: FDBStats, to page: inout Page) {
        page.family("heddle_fdb_entries", .gauge, "Forwarding database entries.")
        page.sample("\(fdb.entries)")
        page.family("heddle_fdb_capacity", .gauge, "Forwarding database entries that fit.")
        page.sample("\(fdb.capacity)")
        let counters = [
            ("learned", "Addresses learned.", fdb.learned),
            ("moved", "Addresses that changed their port.", fdb.moved),
            ("aged", "Addresses forgotten because they were silent.", fdb.aged),
            ("evicted", "Addresses forgotten to make room.", fdb.evicted),
            ("refused", "Addresses not learned because a limit was reached.", fdb.refused),
        ]
        for (name, help, value) in counters {
            page.family("heddle_fdb_\(name)_total", .counter, help)
            page.sample("\(value)")
        }
    }

    private static func appendWorkers(_ workers: [WorkerStats], to page: inout Page) {
        let families: [(String, Page.Kind, String, (WorkerStats) -> UInt64)] = [
            ("bursts_total", .counter, "Bursts handled.", { $0.bursts }),
            ("frames_total", .counter, "Frames handled.", { $0.frames }),
            ("sleeps_total", .counter, "Times the worker went to sleep.", { $0.sleeps }),
        ]
        for (name, kind, help, value) in families {
            page.family("heddle_worker_\(name)", kind, help)
            for worker in workers {
                page.sample("\(value(worker))", [("worker", "\(worker.number)")])
            }
        }
    }

    private struct Page {
        enum Kind: String { case counter, gauge }

        private(set) var text = ""
        private var name = ""

        mutating func family(_ name: String, _ kind: Kind, _ help: String) {
            self.name = name
            text += "# HELP \(name) \(Metrics.escaped(help, quotes: false))\n"
            text += "# TYPE \(name) \(kind.rawValue)\n"
        }

        mutating func sample(_ value: String, _ labels: [(String, String)] = []) {
            let list = labels.map { "\($0)=\"\(Metrics.escaped($1, quotes: true))\"" }
            text += name + (list.isEmpty ? "" : "{" + list.joined(separator: ",") + "}")
            text += " \(value)\n"
        }
    }

    /// Backslash and line feed are escaped everywhere, quotes in label values only.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
