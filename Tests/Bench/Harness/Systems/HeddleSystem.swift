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
        try site.startHeddle(
            binary, ["--workers", "\(workers)"], file: file, directory: site.directory,
            cores: cores)
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

extension Site {
    /// Starts `heddle run` and waits until it is ready. Its socket and state are in `directory`.
    @discardableResult
    func startHeddle(
        _ binary: String, _ options: [String], file: String, in namespace: Namespace? = nil,
        directory: String, cores: [Int]? = nil
    ) throws -> Program {
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        let process = try start(
            Placement.prefix(cores) + [
                binary, "run", file, "--socket", "\(directory)/heddle.sock",
                "--state", "\(directory)/state",
            ] + options, in: namespace)
        try process.wait("being ready", seconds: 30) {
            "\(process.output)\(process.errors)".contains(" is ready")
        }
        return process
    }
}
