import Foundation

/// Guests of a switch with vhost-user ports, played by one thread of Tests/Bench/C/DPDK/virtio.c.
final class Guests {
    struct Setup: Sendable {
        var ports = 2
        /// Packed rings instead of split ones.
        var isPacked = false
        /// For super-frames.
        var isBulk = false
        /// Pairs of hosts behind the first two ports, that have to be known.
        var pairs = 1
    }

    struct Report: Decodable {
        let seconds: Double
        let sent: Int
        let received: Int
        let receivedPerPort: [Int]
        /// Of the frames received.
        let bytes: Int
        /// Frames, of those that were looked at, that came to a port for which they were not meant.
        let foreign: Int

        /// Frames per second and direction.
        var rate: Double { Double(received) / seconds / Double(receivedPerPort.count) }
    }

    /// Of a super-frame of a bulk run: all of it, and what TCP carries.
    static let bulkFrameByteCount = 65_226
    static let bulkPayloadByteCount = 65_160

    private let setup: Setup
    private let program: Program
    private var answers = 0

    /// Starts them and waits until all are connected.
    init(
        _ setup: Setup, program path: String, sockets: [String], core: Int, output: String
    ) throws {
        self.setup = setup
        var command = [path, "--core", "\(core)"]
        if setup.isPacked { command.append("--packed") }
        if setup.isBulk { command.append("--bulk") }
        program = try Program(command + sockets, core: core, output: output)
        do {
            try program.wait("guests that are connected", seconds: 20) {
                self.program.output.hasPrefix("ready\n")
            }
        } catch {
            program.stop()
            throw error
        }
    }

    /// Sends frames until some have come to every port, and then for so long from all hosts.
    func greet(seconds: Double) throws {
        guard setup.ports == 2 else { return }
        for _ in 0..<40 {
            let report = try flow(size: 60, pairs: 1, seconds: 0.1, warmUp: 0)
            if report.receivedPerPort.allSatisfy({ $0 > 0 }) {
                _ = try flow(size: 60, pairs: setup.pairs, seconds: seconds, warmUp: 0)
                return
            }
        }
        throw NotMeasured("no frame came through both ways within four seconds")
    }

    /// Both ways as fast as the guests can, frames of that size without FCS between so many pairs of
    /// hosts.
    func flow(size: Int, pairs: Int, seconds: Double, warmUp: Double) throws -> Report {
        try run("flow \(seconds) \(warmUp) \(size) \(pairs)", seconds: seconds + warmUp)
    }

    /// Super-frames both ways.
    func bulk(seconds: Double, warmUp: Double) throws -> Report {
        try run("bulk \(seconds) \(warmUp)", seconds: seconds + warmUp)
    }

    func stop() { program.stop() }

    private func run(_ command: String, seconds: Double) throws -> Report {
        try program.command(command)
        var answer = ""
        try program.wait("an answer to '\(command)'", seconds: seconds + 20) {
            // The first line says that they are ready.
            let lines = self.program.output.split(
                separator: "\n", omittingEmptySubsequences: false)
            guard lines.count > self.answers + 2 else { return false }
            answer = String(lines[self.answers + 1])
            return true
        }
        answers += 1
        guard let report = try? JSONDecoder().decode(Report.self, from: Data(answer.utf8)) else {
            throw NotMeasured("the guests' answer is not understood: \(answer)")
        }
        guard report.foreign == 0 else {
            throw NotMeasured("frames came to ports for which they were not meant")
        }
        return report
    }
}
