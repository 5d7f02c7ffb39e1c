import CLinux
import Foundation

/// All of a run, as it is written to results.json.
struct Results: Codable, Sendable {
    var machine: Machine
    /// ISO 8601, in UTC.
    var date: String
    /// `git describe --always --dirty` of what was measured.
    var commit: String
    var isFull: Bool
    var seconds: Double
    var findings: [Finding]
    /// By the line's id, for readers of the JSON who do not want to judge themselves.
    var verdicts: [String: Verdict]

    init(findings: [Finding], commit: String, isFull: Bool, seconds: Double) {
        machine = Machine.current
        date = Date().formatted(.iso8601)
        self.commit = commit
        self.isFull = isFull
        self.seconds = seconds
        self.findings = findings
        verdicts = Dictionary(
            findings.map { ($0.line.id, $0.verdict) }, uniquingKeysWith: { first, _ in first })
    }

    static func read(_ path: String) throws -> Results {
        try JSONDecoder().decode(
            Results.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }

    func write(_ path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let url = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try encoder.encode(self).write(to: url, options: .atomic)
    }
}

/// What it was measured on and with.
struct Machine: Codable, Sendable {
    let processor: String
    let cores: Int
    let memoryGibibytes: Double
    let kernel: String
    /// The peers and tools, by name.
    let versions: [String: String]

    static var current: Machine {
        let information = (try? KernelFile.read("/proc/cpuinfo")) ?? ""
        let model = information.split(separator: "\n").first { $0.hasPrefix("model name") }
        let version = (try? KernelFile.read("/proc/version")) ?? ""
        let words = version.split(separator: " ")
        return Machine(
            processor: model.flatMap { $0.split(separator: ":").last }
                .map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown",
            cores: Placement.cores.count,
            memoryGibibytes: Double(ProcessInfo.processInfo.physicalMemory) / 1_073_741_824,
            kernel: words.count > 2 ? String(words[2]) : "unknown",
            versions: [
                "Open vSwitch": firstLine(of: ["ovs-vswitchd", "--version"]),
                "VDE2": firstLine(of: ["vde_switch", "--version"]),
                "DPDK": firstLine(of: ["pkg-config", "--modversion", "libdpdk"]),
                "iperf3": firstLine(of: ["iperf3", "--version"]),
            ])
    }

    private static func firstLine(of command: [String]) -> String {
        guard let output = try? Program.run(command) else { return "not installed" }
        return output.split(separator: "\n").first.map(String.init) ?? "unknown"
    }
}
