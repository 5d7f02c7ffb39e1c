import ControlAPI
import Foundation
import TestSupport
import Testing

@testable import Control

@Suite("Prometheus metrics")
struct MetricsTests {
    static let everything = MetricsReading(
        version: Sample.version, stats: Sample.stats, drops: DropList(drops: [Sample.drop]),
        networks: NetworkList(networks: [Sample.network]),
        tunnels: TunnelList(tunnels: [Sample.tunnel]), events: [.loop: 2])

    @Test("escape labels, and name each family once with help and type")
    func format() throws {
        var reading = Self.everything
        reading.stats.ports[0].name = "a\"b\\c\nd"
        let text = Metrics.text(reading)
        #expect(text.contains(#"heddle_port_up{port="a\"b\\c\nd"} 1"#))
        #expect(text.hasSuffix("\n"))
        var families: Set<Substring> = []
        var current: Substring = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# HELP ") {
                current = line.split(separator: " ")[2]
                #expect(families.insert(current).inserted, "\(current) twice")
            } else if line.hasPrefix("# TYPE ") {
                #expect(line.split(separator: " ")[2] == current)
            } else {
                #expect(line.prefix { $0 != " " && $0 != "{" } == current)
            }
        }
    }

    @Test("say what listings say")
    func samples() {
        let lines = Set(Metrics.text(Self.everything).split(separator: "\n").map(String.init))
        let expected = [
            #"heddle_info{version="0.1.0",api="v1"} 1"#,
            #"heddle_ports{state="up"} 1"#,
            #"heddle_port_received_bytes_total{port="web-1"} 1000"#,
            #"heddle_port_queued_frames{port="web-1"} 1"#,
            #"heddle_network_received_frames_total{network="blue"} 10"#,
            #"heddle_network_fdb_entries{network="blue"} 1"#,
            #"heddle_tunnel_underlay_mtu_bytes{tunnel="vxlan:beta"} 1500.0"#,
            #"heddle_drops_total{port="web-1",network="blue",reason="vlan-not-allowed"} 3"#,
            "heddle_fdb_entries 1",
            #"heddle_worker_cpu_seconds_total{worker="0"} 0.5"#,
            "heddle_captures_running 1",
            "heddle_capture_lost_frames_total 2",
            "process_cpu_seconds_total 1.5",
            "process_open_fds 5",
            #"heddle_events_total{kind="loop"} 2"#,
        ]
        for line in expected { #expect(lines.contains(line), "\(line)") }
        // The other end never answered a probe, which is no fault.
        #expect(!lines.contains { $0.hasPrefix("heddle_tunnel_probe_up{") })
    }

    @Test(
        "are as Prometheus' own check wants them",
        .enabled(if: ExternalTool.isAvailable("promtool", package: "prometheus")),
        arguments: [1, Metrics.maximumSeries + 1])
    func promtool(ports: Int) throws {
        var reading = Self.everything
        reading.stats.ports = (0..<ports).map {
            PortStats(name: "p\($0)", state: .up, counters: Sample.counters)
        }
        let text = Metrics.text(reading)
        let tool = try ExternalTool("promtool")
        let run = try tool.run(["check", "metrics"], standardInput: Array(text.utf8))
        #expect(run.status == 0, "\(run.standardError)")
        #expect(run.standardError.isEmpty && run.text.isEmpty, "\(run.standardError)\(run.text)")
        // It can find fault: a counter without its suffix.
        let wrong = text.replacing("process_cpu_seconds_total", with: "process_cpu_seconds")
        let other = try tool.run(["check", "metrics"], standardInput: Array(wrong.utf8))
        #expect(other.status != 0)
    }

    @Test("stay bounded and lose nothing, whatever number of things there is")
    func bounded() {
        var random = SplitMix(state: 7)
        let limit = Metrics.maximumSeries
        for count in [0, 1, limit, limit + Int.random(in: 1...3000, using: &random)] {
            var reading = Self.everything
            reading.stats.ports = (0..<count).map {
                PortStats(name: "p\($0)", state: .up, counters: Sample.counters)
            }
            reading.networks.networks = (0..<count).map { number in
                var network = Sample.network
                network.name = "n\(number)"
                return network
            }
            reading.tunnels.tunnels = (0..<count).map { number in
                var tunnel = Sample.tunnel
                tunnel.name = "vxlan:h\(number)"
                return tunnel
            }
            reading.drops.drops = (0..<count).map { number in
                var drop = Sample.drop
                drop.port = "p\(number)"
                return drop
            }
            // By bytes: there are a hundred thousand lines.
            let samples = Metrics.text(reading).utf8.split(separator: UInt8(ascii: "\n"))
                .filter { $0.first != UInt8(ascii: "#") }
            var rows: [String: Int] = [:]
            var sums: [String: UInt64] = [:]
            var series: Set<String> = []
            for sample in samples {
                guard let end = sample.lastIndex(of: UInt8(ascii: " ")) else { continue }
                let labels = sample.firstIndex(of: UInt8(ascii: "{")) ?? end
                let name = String(Substring(sample[..<labels]))
                rows[name, default: 0] += 1
                sums[name, default: 0] &+=
                    UInt64(Substring(sample[sample.index(after: end)...])) ?? 0
                series.insert(String(Substring(sample[..<end])))
            }
            #expect(rows.values.allSatisfy { $0 <= limit + 1 })
            #expect(series.count == samples.count)
            #expect(sums["heddle_port_received_frames_total", default: 0] == UInt64(10 * count))
            #expect(sums["heddle_network_flooded_frames_total", default: 0] == UInt64(2 * count))
            #expect(sums["heddle_drops_total", default: 0] == UInt64(3 * count))
        }
    }

    @Test("keep a row of drops in its series when counts change")
    func stable() {
        var reading = Self.everything
        reading.drops.drops = (0..<Metrics.maximumSeries + 1).map { number in
            var drop = Sample.drop
            drop.port = "p\(number)"
            drop.count = UInt64(number + 1)
            return drop
        }
        func series(_ reading: MetricsReading) -> Set<Substring> {
            Set(Metrics.text(reading).split(separator: "\n").map { $0.prefix { $0 != " " } })
        }
        let before = series(reading)
        // As the listing has them: the highest count first.
        reading.drops.drops.reverse()
        reading.drops.drops[Metrics.maximumSeries].count = 1 << 40
        #expect(series(reading) == before)
    }

    @Test("tell of this process what the kernel says")
    func process() throws {
        let first = try #require(ProcessReading.now())
        #expect(first.residentBytes > 1 << 20 && first.virtualBytes >= first.residentBytes)
        #expect(first.threads >= 1 && first.openDescriptors <= first.descriptorLimit)
        let now = Date().timeIntervalSince1970
        #expect(first.startTimeSeconds > now - 86_400 && first.startTimeSeconds < now + 2)
        let line = "7 (a) b ) S 1 7 7 0 -1 4194304 1 0 0 0 3 1 0 0 20 0 9 0 250 10 20 30"
        let fields = try #require(ProcessReading.fields(line))
        #expect(fields.threads == 9 && fields.startSeconds == 2.5)
        #expect(ProcessReading.fields("7 (a) S 1") == nil)
    }
}
