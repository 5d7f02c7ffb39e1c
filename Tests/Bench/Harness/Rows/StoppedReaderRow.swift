// A port that takes nothing any more must cost the others nothing.
//
// What a user can have of that kind: a port that records into a named pipe whose reader (an analyser
// that was suspended) has stopped reading; and a TAP whose device was set down, so that writing to it
// fails. A program that does not read its socket is none: the kernel takes the frame off the TAP
// before that. Every frame of the load is a broadcast, and so meant for the stopped port as well. The
// load is a quarter of what the switch delivers flat out to the same ports, so that none is lost for
// want of time; loss is counted frame by frame at the others.

import Glibc

struct StoppedReaderRow: Row {
    enum Stop: String, Sendable {
        case pipe, device

        var description: String {
            switch self {
            case .pipe: "a pcap port on a named pipe that nobody reads any more"
            case .device: "a TAP whose device was set down"
            }
        }
    }

    private let stop: Stop
    let lines: [Line]

    init(_ stop: Stop) {
        self.stop = stop
        lines = [
            Line(
                id: "stopped-reader-\(stop.rawValue)", what: "loss beside a stopped port",
                against: nil, unit: "frames lost", isMoreBetter: false,
                goal: .atMost(floor: 0, aim: 0),
                how: "\(stop.description); broadcasts at a quarter of the flat-out rate, lost ones "
                    + "counted at two other ports")
        ]
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        let capacity = try bench.withRig(of: bench.heddle, ports: 4) { rig in
            try broadcast(bench, rig, rate: nil).receivedRate / 2
        }
        let system: any System =
            stop == .pipe ? SystemWithStoppedPipe(heddle: bench.heddle) : bench.heddle
        return try bench.withRig(of: system, ports: 4) { rig in
            if stop == .device {
                let port = rig.ports[3]
                try port.namespace.configure(["link set \(port.device) down"])
            }
            let report = try broadcast(bench, rig, rate: capacity / 4)
            try rig.check()
            let expected = (report.sent + report.rejected) * 2
            let lost = expected - report.received - (report.receiverDropped ?? 0)
            return [
                Finding(
                    lines[0], value: Double(max(0, lost)),
                    note: "of \(expected), at \(Int(capacity / 4000)) k broadcasts/s")
            ]
        }
    }

    private func broadcast(
        _ bench: Bench, _ rig: Rig, rate: Double?
    ) throws -> FrameLoad.Report {
        try bench.flow(
            FrameLoad(rate: rate, checksFrames: true, destination: "ff:ff:ff:ff:ff:ff"),
            from: rig.ports[0], to: Array(rig.ports[1...2]), seconds: bench.seconds)
    }
}

/// Heddle with one port more, which writes into a named pipe. The pipe has a reader, without which it
/// could not be opened; that reader never reads.
private struct SystemWithStoppedPipe: System {
    let heddle: HeddleSystem

    var name: String { heddle.name }
    var programs: [String] { heddle.programs }

    func start(at site: Site) throws {
        let pipe = "\(site.directory)/pipe"
        try site.run(["mkfifo", pipe])
        let reader = try site.start(["sh", "-c", "exec sleep 600 < \(pipe)"])
        try reader.wait("opening the pipe") {
            let descriptor = open(pipe, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            if descriptor >= 0 { close(descriptor) }
            return descriptor >= 0
        }
        var system = heddle
        system.furtherPorts = ["tape: {network: bench, pcap: {write: \(pipe)}}"]
        try system.start(at: site)
    }
}
