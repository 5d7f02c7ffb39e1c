import Foundation

/// Heddle itself: the release binary, one TAP for each port, one network.
struct HeddleSystem: System {
    var name = "Heddle"
    let binary: String
    var workers = 1
    /// Lines to stand at the top level of the topology file, such as `fdb-limit: 1048576`.
    var settings: [String] = []
    /// Further ports of the topology file, such as `tape: {network: bench, pcap: {write: FILE}}`.
    var furtherPorts: [String] = []
    /// Where it may run; nil: on the switches' core.
    var cores: [Int]?

    var programs: [String] { [binary] }

    func start(at site: Site) throws {
        let file = "\(site.directory)/bench.yaml"
        try topology(of: site.ports).write(toFile: file, atomically: false, encoding: .utf8)
        let place = cores.map {
            ["taskset", "-c", $0.map { "\($0)" }.joined(separator: ",")]
        }
        let process = try site.start(
            (place ?? []) + [
                binary, "run", file, "--socket", "\(site.directory)/heddle.sock",
                "--state", "\(site.directory)/state", "--workers", "\(workers)",
            ])
        try process.wait("being ready", seconds: 30) {
            "\(process.output)\(process.errors)".contains(" is ready")
        }
    }

    private func topology(of ports: [SwitchPort]) -> String {
        var lines = ["heddle: 1"] + settings + ["networks: {bench: {}}", "ports:"]
        for (index, port) in ports.enumerated() {
            lines.append(
                "  p-\(index): {network: bench, "
                    + "tap: {namespace: \(port.namespace.name), device: \(port.device)}}")
        }
        lines += furtherPorts.map { "  \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }
}
