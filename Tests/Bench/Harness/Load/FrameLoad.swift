import Foundation

/// Frames through a switch, by heddle-generator: what is asked of it, and its answer.
struct FrameLoad {
    var size = 64
    /// Frames per second; nil: as fast as the sender's core can.
    var rate: Double?
    var flows: Int?
    var sources: Int?
    /// Receive each frame and check it, instead of reading the devices' counters.
    var checksFrames = false
    var measuresLatency = false
    var destination: String?
    /// A file of destinations to go round, each a VLAN ID and a MAC address on a line; the frames are
    /// tagged.
    var targets: String?

    struct Report: Decodable {
        let sent: Int
        let received: Int
        let receivedPerPort: [Int]
        let seconds: Double
        let sentRate: Double
        let receivedRate: Double
        /// Refused by the sending device, whose queue was full.
        let rejected: Int
        let lost: Int?
        /// Whether a device counted frames that are not the load's.
        let foreign: Bool?
        /// Lost by the receiver, not by the switch.
        let receiverDropped: Int?
        let reordered: Int?
        let duplicated: Int?
        let latency: Latency?
    }

    /// Microseconds.
    struct Latency: Codable {
        let p50: Double
        let p90: Double
        let p99: Double
        let p999: Double
        let max: Double
    }
}

extension Bench {
    /// Sends from one port to others for `seconds`, after a short warm-up, and reports.
    func flow(
        _ load: FrameLoad, from: SwitchPort, to: [SwitchPort], seconds: Double
    ) throws -> FrameLoad.Report {
        try generate(
            FrameLoad.Report.self,
            command(load, from: from, to: to, seconds: seconds, core: senderCore), seconds: seconds)
    }

    /// Loads several pairs of ports at the same time, each by a generator of its own that runs where
    /// the kernel puts it.
    func flows(
        _ load: FrameLoad, _ pairs: [(from: SwitchPort, to: SwitchPort)], seconds: Double
    ) throws -> [FrameLoad.Report] {
        var programs: [Program] = []
        defer { for program in programs { program.stop() } }
        for (index, pair) in pairs.enumerated() {
            programs.append(
                try Program(
                    command(load, from: pair.from, to: [pair.to], seconds: seconds, core: nil),
                    output: "/run/heddle-bench/flow-\(index)"))
        }
        return try programs.map {
            try decode(FrameLoad.Report.self, $0.finish(within: seconds + 20))
        }
    }

    private func command(
        _ load: FrameLoad, from: SwitchPort, to: [SwitchPort], seconds: Double, core: Int?
    ) -> [String] {
        var command = [
            "\(products)/heddle-generator", "flow", "--from", from.place,
            "--to", to.map(\.place).joined(separator: ","), "--size", "\(load.size)",
            "--rate", load.rate.map { "\(Int($0))" } ?? "max", "--seconds", "\(seconds)",
            "--warm-up", "0.2", "--count", load.checksFrames ? "frames" : "device",
        ]
        if let core { command += ["--sender-cpu", "\(core)"] }
        if let flows = load.flows { command += ["--flows", "\(flows)"] }
        if let sources = load.sources { command += ["--sources", "\(sources)"] }
        if let destination = load.destination { command += ["--destination", destination] }
        if let targets = load.targets { command += ["--targets", targets] }
        if load.measuresLatency { command.append("--latency") }
        return command
    }

    /// Runs heddle-generator and decodes its line.
    func generate<Report: Decodable>(
        _ type: Report.Type, _ command: [String], seconds: Double
    ) throws -> Report {
        guard Program.locate(command[0]) != nil else {
            throw NotMeasured("there is no heddle-generator in \(products); run.sh builds it")
        }
        return try decode(type, Program.run(command, within: seconds + 20))
    }

    private func decode<Report: Decodable>(
        _ type: Report.Type, _ output: String
    ) throws -> Report {
        do {
            return try JSONDecoder().decode(Report.self, from: Data(output.utf8))
        } catch {
            throw NotMeasured("heddle-generator's answer is not understood: \(output)")
        }
    }
}
