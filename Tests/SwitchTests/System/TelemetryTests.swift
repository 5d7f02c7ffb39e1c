import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("What a running switch tells of itself")
    struct Telemetry {
        static let topology = """
            heddle: 1
            networks: {blue: {vlan: 10}}
            ports:
              a: {network: blue, tap: {namespace: a, address: [10.1.0.1/24]}}
              b: {network: blue, tap: {namespace: b, address: [10.1.0.2/24]}}
            """

        @Test(
            "metrics of a switch with traffic pass Prometheus' own check",
            .enabled(
                if: ExternalTool.isAvailable("promtool", package: "prometheus")
                    && ExternalTool.isAvailable("curl")))
        func metrics() throws {
            try withTopology(Self.topology) { lab in
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                let page = try lab.sh(
                    "curl -sS --unix-socket /run/heddle/heddle.sock http://heddle/metrics")
                let check = try ExternalTool("promtool").run(
                    ["check", "metrics"], standardInput: Array(page.utf8))
                #expect(check.status == 0, "\(check.standardError)")
                #expect(check.standardError.isEmpty, "\(check.standardError)")
                for line in [
                    #"heddle_port_received_frames_total{port="a"} [1-9]"#,
                    #"heddle_network_fdb_entries{network="blue"} 2"#,
                    #"heddle_worker_cpu_seconds_total{worker="0"} 0[.]0*[1-9]"#,
                    "process_resident_memory_bytes [1-9]",
                ] {
                    let pattern =
                        "(?m)^" + line.replacing("{", with: #"\{"#).replacing("}", with: #"\}"#)
                    #expect(
                        page.range(of: pattern, options: .regularExpression) != nil, "\(line)")
                }
            }
        }

        private struct Reading: Decodable {
            struct Row: Decodable {
                var name: String
                var received: Double

                enum CodingKeys: String, CodingKey {
                    case name
                    case received = "received_frames_per_second"
                }
            }

            var rows: [Row]
        }

        @Test("top shows the rates of what passes, as tables and as JSON")
        func top() throws {
            try withTopology(Self.topology) { lab in
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                let ping = try lab.start(
                    ["ping", "-q", "-i", "0.05", "10.1.0.2"], in: "a")
                // Both hosts send twenty frames a second; a machine that is busy sends fewer.
                let output = try lab.run(
                    [Lab.heddlePath, "top", "--count", "2", "--output", "json"]
                ).text
                let lines = output.split(separator: "\n")
                #expect(lines.count == 2)
                for line in lines {
                    let reading = try JSONDecoder().decode(Reading.self, from: Data(line.utf8))
                    #expect(reading.rows.map(\.name).sorted() == ["a", "b"])
                    for row in reading.rows {
                        #expect((5...40).contains(row.received), "\(row)")
                    }
                }
                let table = try lab.heddle("top", "--interval", "0.2", "--count", "1").text
                #expect(!table.contains("\u{1B}"))
                #expect(table.contains("LAST 20"))
                try ping.finish(SIGINT)
            }
        }

        @Test(
            "top gives the terminal back as it was, whichever signal ends it",
            .enabled(if: ExternalTool.isAvailable("script", package: "bsdutils")),
            arguments: ["INT", "TERM", "HUP", "QUIT"])
        func terminal(_ signal: String) throws {
            try withTopology(Self.topology) { lab in
                // Not bash's own job control: the terminal's foreground is this very script.
                let script = try lab.file(
                    "top.sh",
                    """
                    stty rows 10 cols 60
                    stty -g > \(lab.directory)/before
                    timeout --foreground -s \(signal) 1.5 \(Lab.heddlePath) top --interval 0.3
                    stty -g > \(lab.directory)/after
                    """)
                let screen = try lab.sh("script -qec 'sh \(script)' /dev/null < /dev/null")
                #expect(screen.contains("\u{1B}[?1049h"))
                #expect(screen.contains("heddle top by rx"))
                #expect(screen.hasSuffix("\u{1B}[?1049l"), "\(screen.suffix(60))")
                #expect(
                    try lab.sh("cmp \(lab.directory)/before \(lab.directory)/after && echo same")
                        == "same\n")
            }
        }
    }
}
