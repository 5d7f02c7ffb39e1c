import Foundation

/// TCP through a switch, by iperf3: `flows` connections from the first port's namespace to the
/// second's, then the other way (`-R`), each for the time given, unpinned, since how a machine spreads
/// the two ends over its cores is part of the result.
struct TCPLoad {
    let flows: Int

    /// Linux's own default (RFC 9438). A host may have chosen one that paces itself, such as BBR; that
    /// would be measured instead of the switch.
    static let congestionControl = "cubic"

    private struct Report: Decodable {
        struct End: Decodable {
            struct Sum: Decodable {
                let bytes: Double
                let bits_per_second: Double
            }
            let sum_received: Sum
        }
        let end: End?
        let error: String?
    }

    /// The sum of both ways in Gbit/s, halved.
    func apply(to rig: Rig, seconds: Double) throws -> (gigabits: Double, bytes: Double) {
        let (client, server) = (rig.ports[0], rig.ports[1])
        let service = try Program(
            ["iperf3", "--server", "--bind", server.address], in: server.namespace,
            output: "/run/heddle-bench/iperf-server")
        defer { service.stop() }
        try service.wait("listening") { try isListening(in: server.namespace) }

        var rate = 0.0
        var bytes = 0.0
        for direction in [[], ["--reverse"]] {
            let sink = direction.isEmpty ? server : client
            let before = try sink.namespace.counters(of: sink.device)
            let output = try Program.run(
                [
                    "iperf3", "--client", server.address, "--time", "\(Int(seconds.rounded(.up)))",
                    "--parallel", "\(flows)", "--interval", "0", "--json",
                    "--congestion", TCPLoad.congestionControl,
                ] + direction, in: client.namespace, within: seconds + 20)
            let report = try JSONDecoder().decode(Report.self, from: Data(output.utf8))
            guard let sum = report.end?.sum_received else {
                throw NotMeasured("iperf3 says: \(report.error ?? "nothing")")
            }
            // What iperf3 received has to have come out of the switch.
            let crossed =
                try sink.namespace.counters(of: sink.device).receivedBytes
                - before.receivedBytes
            guard Double(crossed) > sum.bytes else {
                throw NotMeasured(
                    "\(Int(sum.bytes)) bytes arrived, but only \(crossed) through \(sink.device)")
            }
            rate += sum.bits_per_second / 2e9
            bytes += sum.bytes
        }
        return (rate, bytes)
    }

    /// 0A is TCP_LISTEN, and 1451 is 5201 in hexadecimal.
    private func isListening(in namespace: Namespace) throws -> Bool {
        try namespace.enter {
            try KernelFile.read("/proc/thread-self/net/tcp")
                .split(separator: "\n").contains { $0.contains(":1451 ") && $0.contains(" 0A ") }
        }
    }
}
