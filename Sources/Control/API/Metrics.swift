import ControlAPI

/// What a switch says of itself at one moment.
struct MetricsReading {
    var version: VersionInfo?
    var stats: StatsInfo
    var drops: DropList
    var networks = NetworkList(networks: [])
    var tunnels = TunnelList(tunnels: [])
    var events: [EventKind: UInt64] = [:]
}

/// Renders a reading in the Prometheus text exposition format, version 0.0.4.
///
/// Cardinality is bounded: labels are ports, networks, tunnels, reasons and workers, all of which
/// the operator declares, never MAC addresses; and past `maximumSeries` ports, networks or rows of
/// drops the rest is summed under the name `_other`, which none of them can have. Which ones are
/// shown depends on names alone, not on counts: a counter must not move to another series.
enum Metrics {
    static let maximumSeries = 2048
    static let rest = "_other"

    /// A number of a port or a network.
    private struct Family: Sendable {
        let name: String
        let kind: MetricsPage.Kind
        let help: String
        let value: @Sendable (TrafficCounters) -> UInt64

        init(
            _ name: String, _ help: String, _ kind: MetricsPage.Kind = .counter,
            _ value: @escaping @Sendable (TrafficCounters) -> UInt64
        ) {
            self.name = name
            self.kind = kind
            self.help = help
            self.value = value
        }
    }

    private static let trafficFamilies: [Family] = [
        Family(
            "received_frames_total", "Frames received, a super-frame counted once."
        ) { $0.receivedFrames },
        Family("received_bytes_total", "Bytes received, without FCS.") { $0.receivedBytes },
        Family(
            "received_segments_total", "Frames received, a super-frame counted as its segments."
        ) { $0.receivedSegments },
        Family(
            "forwarded_frames_total", "Received frames sent to one port."
        ) { $0.forwardedFrames },
        Family(
            "flooded_frames_total", "Received frames sent to every port of their network."
        ) { $0.floodedFrames },
        Family(
            "consumed_frames_total", "Received frames that the switch itself took."
        ) { $0.consumedFrames },
        Family(
            "ingress_dropped_frames_total", "Received frames dropped."
        ) { $0.ingressDroppedFrames },
        Family("egress_copies_total", "Frames handed to the egress.") { $0.egressCopies },
        Family(
            "transmitted_frames_total", "Frames transmitted, a super-frame counted once."
        ) { $0.transmittedFrames },
        Family(
            "transmitted_bytes_total", "Bytes transmitted, without FCS."
        ) { $0.transmittedBytes },
        Family(
            "transmitted_segments_total",
            "Frames transmitted, a super-frame counted as its segments."
        ) { $0.transmittedSegments },
        Family(
            "egress_dropped_frames_total", "Copies dropped at the egress."
        ) { $0.egressDroppedFrames },
    ]

    static func text(_ reading: MetricsReading) -> String {
        let stats = reading.stats
        var page = MetricsPage()
        if let version = reading.version {
            page.family("heddle_info", .gauge, "The switch that answers; always 1.")
            page.sample(1, [("version", version.version), ("api", version.apiVersion)])
        }
        page.family("heddle_uptime_seconds", .gauge, "Seconds since the daemon was ready.")
        page.sample(stats.uptimeSeconds)
        page.family("heddle_generation", .gauge, "Generation of the configuration in force.")
        page.sample(stats.generation)

        appendPorts(stats.ports, to: &page)
        appendNetworks(reading.networks.networks, to: &page)
        appendTunnels(reading.tunnels.tunnels, to: &page)
        appendDrops(reading.drops, to: &page)
        appendFDB(stats.fdb, to: &page)
        appendWorkers(stats.workers, to: &page)
        if let captures = stats.captures {
            page.family("heddle_captures_running", .gauge, "Captures that run now.")
            page.sample(captures.running)
            page.family(
                "heddle_capture_lost_frames_total", .counter,
                "Frames that captures missed because their readers were slow.")
            page.sample(captures.lostFrames)
        }
        if let process = stats.process { appendProcess(process, to: &page) }
        page.family("heddle_events_total", .counter, "Events, by kind.")
        for kind in EventKind.allCases {
            page.sample(reading.events[kind] ?? 0, [("kind", kind.rawValue)])
        }
        return page.text
    }

    private static func appendPorts(_ ports: [PortStats], to page: inout MetricsPage) {
        page.family("heddle_ports", .gauge, "Ports, tunnels and underlays, by their state.")
        for state in [PortState.up, .down] {
            page.sample(
                ports.count { $0.state == state }, [("state", state.rawValue)])
        }
        page.family("heddle_port_up", .gauge, "1 if frames can pass the port.")
        for port in ports.prefix(maximumSeries) {
            page.sample(port.state == .up ? 1 : 0, [("port", port.name)])
        }
        append(
            trafficFamilies, of: "port", ports.map { ($0.name, $0.counters) }, to: &page)
        append(
            [
                Family("queued_frames", "Copies that wait for the port now.", .gauge) {
                    $0.queuedFrames
                }
            ], of: "port", ports.map { ($0.name, $0.counters) }, to: &page)
    }

    /// A network counts what ports count, but for what the switch took itself and what waits.
    private static func appendNetworks(_ networks: [NetworkInfo], to page: inout MetricsPage) {
        guard !networks.isEmpty else { return }
        append(
            trafficFamilies.filter { $0.name != "consumed_frames_total" }, of: "network",
            networks.map { ($0.name, $0.counters) }, to: &page)
        let shown = networks.prefix(maximumSeries)
        page.family("heddle_network_mtu_bytes", .gauge, "IP MTU of the network.")
        for network in shown { page.sample(network.mtu, [("network", network.name)]) }
        page.family("heddle_network_ports", .gauge, "Ports that carry the network.")
        for network in shown { page.sample(network.ports.count, [("network", network.name)]) }
        page.family(
            "heddle_network_fdb_entries", .gauge,
            "Forwarding database entries of the network.")
        for network in shown { page.sample(network.fdbEntries, [("network", network.name)]) }
    }

    private static func append(
        _ families: [Family], of label: String, _ rows: [(name: String, counters: TrafficCounters)],
        to page: inout MetricsPage
    ) {
        for family in families {
            page.family("heddle_\(label)_\(family.name)", family.kind, family.help)
            for row in rows.prefix(maximumSeries) {
                page.sample(family.value(row.counters), [(label, row.name)])
            }
            guard rows.count > maximumSeries else { continue }
            let sum = rows.dropFirst(maximumSeries).reduce(0 as UInt64) {
                $0 &+ family.value($1.counters)
            }
            page.sample(sum, [(label, rest)])
        }
    }

    /// A tunnel's traffic is among the ports'; here is what ports have not.
    private static func appendTunnels(_ all: [TunnelInfo], to page: inout MetricsPage) {
        guard !all.isEmpty else { return }
        let tunnels = all.prefix(maximumSeries)
        func family(
            _ name: String, _ help: String, _ value: (TunnelInfo) -> Double?
        ) {
            page.family("heddle_tunnel_\(name)", .gauge, help)
            for tunnel in tunnels {
                if let number = value(tunnel) { page.sample(number, [("tunnel", tunnel.name)]) }
            }
        }
        family("up", "1 if frames can be sent through the tunnel.") { $0.state == .up ? 1 : 0 }
        family("probe_up", "1 if the other end answers probes; absent while it is not known.") {
            switch $0.probe {
            case .up: 1
            case .down: 0
            case .off, .unprobed: nil
            }
        }
        family("maximum_packet_bytes", "Largest IP packet that fits the path.") {
            Double($0.maximumPacket)
        }
        family("underlay_mtu_bytes", "MTU of the path; absent while there is none.") {
            $0.underlayMTU.map(Double.init)
        }
        family("last_heard_seconds", "Seconds since anything came from the other end.") {
            $0.lastHeardSeconds
        }
    }

    private static func appendDrops(_ list: DropList, to page: inout MetricsPage) {
        page.family("heddle_drops_total", .counter, "Frames dropped, by reason.")
        let drops = list.drops.sorted {
            ($0.port, $0.network ?? "", $0.reason) < ($1.port, $1.network ?? "", $1.reason)
        }
        for drop in drops.prefix(maximumSeries) {
            page.sample(
                drop.count,
                [("port", drop.port), ("network", drop.network ?? ""), ("reason", drop.reason)])
        }
        var others: [String: UInt64] = [:]
        for drop in drops.dropFirst(maximumSeries) {
            others[drop.reason, default: 0] &+= drop.count
        }
        for (reason, count) in others.sorted(by: { $0.key < $1.key }) {
            page.sample(count, [("port", rest), ("network", ""), ("reason", reason)])
        }
    }

    private static func appendFDB(_ fdb: FDBStats, to page: inout MetricsPage) {
        page.family("heddle_fdb_entries", .gauge, "Forwarding database entries.")
        page.sample(fdb.entries)
        page.family("heddle_fdb_capacity", .gauge, "Forwarding database entries that fit.")
        page.sample(fdb.capacity)
        let counters = [
            ("learned", "Addresses learned.", fdb.learned),
            ("moved", "Addresses that changed their port.", fdb.moved),
            ("aged", "Addresses forgotten because they were silent.", fdb.aged),
            ("evicted", "Addresses forgotten to make room.", fdb.evicted),
            ("refused", "Addresses not learned because a limit was reached.", fdb.refused),
        ]
        for (name, help, value) in counters {
            page.family("heddle_fdb_\(name)_total", .counter, help)
            page.sample(value)
        }
    }

    private static func appendWorkers(_ workers: [WorkerStats], to page: inout MetricsPage) {
        func family(
            _ name: String, _ kind: MetricsPage.Kind, _ help: String,
            _ value: (WorkerStats) -> String?
        ) {
            page.family("heddle_worker_\(name)", kind, help)
            for worker in workers {
                guard let text = value(worker) else { continue }
                page.sample(text, [("worker", "\(worker.number)")])
            }
        }
        family("bursts_total", .counter, "Bursts handled.") { "\($0.bursts)" }
        family("frames_total", .counter, "Frames handled.") { "\($0.frames)" }
        family("sleeps_total", .counter, "Times the worker went to sleep.") { "\($0.sleeps)" }
        family("generation", .gauge, "Generation of the configuration that the worker uses.") {
            "\($0.generation)"
        }
        family(
            "cpu_seconds_total", .counter,
            "Processor time of the worker: its rate is how busy it is."
        ) { $0.cpuSeconds.map { "\($0)" } }
    }

    /// The names that Prometheus' client libraries give them.
    private static func appendProcess(_ process: ProcessStats, to page: inout MetricsPage) {
        page.family("process_cpu_seconds_total", .counter, "Processor time, user and system.")
        page.sample(process.cpuSeconds)
        page.family("process_resident_memory_bytes", .gauge, "Memory in RAM.")
        page.sample(process.residentBytes)
        page.family("process_virtual_memory_bytes", .gauge, "Address space.")
        page.sample(process.virtualBytes)
        page.family("process_open_fds", .gauge, "File descriptors open now.")
        page.sample(process.openDescriptors)
        page.family("process_max_fds", .gauge, "File descriptors that may be open.")
        page.sample(process.descriptorLimit)
        page.family("process_threads", .gauge, "Threads now.")
        page.sample(process.threads)
        page.family(
            "process_start_time_seconds", .gauge, "When the process began, seconds since 1970.")
        page.sample(process.startTimeSeconds)
    }
}
