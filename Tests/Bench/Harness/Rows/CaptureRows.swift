import Foundation

/// What a capture costs those whose frames it watches: a filter that one frame in a hundred passes.
struct FilteredCaptureRow: Row {
    private let line = Line(
        id: "capture-1pct", what: "64-byte frames while 1 % of them are captured",
        against: "no capture", unit: "kframes/s", isMoreBetter: true,
        goal: .ratio(floor: 0.95, aim: 0.98),
        how: "as tap-64, all ports captured into a file in memory; neither side is pinned")

    var lines: [Line] { [line] }

    func measure(_ bench: Bench) throws -> [Finding] {
        var plain = bench.heddle
        plain.cores = bench.cores
        // The low bits of a frame's sequence number.
        let capturing = CapturingSystem(heddle: plain, filter: "ether[28:2] % 100 = 0")
        return try bench.compare(lines, capturing, plain, pairs: 2 * bench.shortPairs) {
            try SmallFramesRow.trial(line.id, bench, $0)
        }
    }
}

/// Heddle with a capture of everything that passes the filter.
private struct CapturingSystem: System {
    let heddle: HeddleSystem
    let filter: String

    var name: String { "Heddle, capturing" }
    var programs: [String] { heddle.programs }

    func start(at site: Site) throws {
        try heddle.start(at: site)
        let file = "\(site.directory)/capture.pcapng"
        let capture = try site.start([
            heddle.binary, "capture", "--socket", "\(site.directory)/heddle.sock", "-w", file,
            filter,
        ])
        try capture.wait("the capture's beginning") {
            (FileManager.default.contents(atPath: file)?.count ?? 0) > 0
        }
    }
}

/// A capture of every frame against tcpdump on the same TAP: how many frames a second end up in the
/// file.
struct FullCaptureRow: Row {
    /// What Heddle captures; tcpdump, which sees one TAP, has what leaves by it.
    enum Extent { case everything, onePort }

    private let extent: Extent
    private let line: Line

    init(_ extent: Extent) {
        self.extent = extent
        let isAll = extent == .everything
        line = Line(
            id: isAll ? "capture-all" : "capture-port",
            what: "64-byte frames flat out, captured "
                + (isAll ? "at every port: as received, as sent" : "as they leave by one port"),
            against: "tcpdump", unit: "kframes/s", isMoreBetter: true,
            goal: isAll ? .ratio(floor: 2, aim: 3) : .none,
            how: "frames in the file, in memory; 'heddle capture' "
                + (isAll ? "without a port, so that each is in it twice, " : "of that port ")
                + "against tcpdump -B 4096 on the TAP that they leave by, both beside Heddle, "
                + "neither pinned")
    }

    var lines: [Line] { [line] }

    func measure(_ bench: Bench) throws -> [Finding] {
        guard Program.locate("tcpdump") != nil else {
            throw NotMeasured("tcpdump is not installed")
        }
        var heddle = bench.heddle
        heddle.cores = bench.cores
        var losses: [String: (lost: Double, all: Double)] = [:]
        let findings = try bench.interleave(lines, pairs: bench.shortPairs) {
            let rig = try bench.rig(of: heddle, ports: 2)
            func trial(_ side: String) throws -> Trial {
                let (captured, report) = try capture(side, bench, rig)
                let copies = side == "heddle" && extent == .everything ? 2.0 : 1
                let all = copies * Double(report.received)
                losses[side, default: (0, 0)].lost += max(0, all - captured)
                losses[side, default: (0, 0)].all += all
                return Trial(
                    [line.id: captured / report.seconds / 1000],
                    frames: Double(report.received))
            }
            return Contest(
                ours: { try trial("heddle") }, theirs: { try trial("tcpdump") },
                end: { rig.stop() })
        }
        let note = losses.sorted { $0.key < $1.key }.map {
            "\($0.key) lost \(Int(100 * $0.value.lost / max(1, $0.value.all))) %"
        }.joined(separator: ", ")
        return findings.map {
            var finding = $0
            finding.note = [finding.note, note].compactMap(\.self).joined(separator: "; ")
            return finding
        }
    }

    private func capture(
        _ side: String, _ bench: Bench, _ rig: Rig
    ) throws -> (Double, FrameLoad.Report) {
        let file = "\(rig.directory)/all.capture"
        try? FileManager.default.removeItem(atPath: file)
        let port = rig.ports[1]
        let isOurs = side == "heddle"
        let program =
            isOurs
            ? try Program(
                [bench.heddle.binary, "capture"]
                    + (extent == .everything ? [] : ["p-1", "--direction", "egress"])
                    + [
                        "--socket", "\(rig.directory)/heddle.sock", "-w", file,
                        "ether proto 0x88b5",
                    ], output: "\(rig.directory)/capture")
            : try Program(
                [
                    "tcpdump", "-Z", "root", "-n", "-B", "4096", "-Q", "in", "-i", port.device,
                    "-w", file, "ether proto 0x88b5",
                ], in: port.namespace, output: "\(rig.directory)/capture")
        defer { program.stop() }
        try program.wait("the capture's beginning") {
            isOurs
                ? (FileManager.default.contents(atPath: file)?.count ?? 0) > 0
                : program.errors.contains("listening on")
        }
        let report = try bench.flow(
            FrameLoad(), from: rig.ports[0], to: [port], seconds: bench.shortSeconds)
        usleep(300_000)
        kill(program.processID, SIGINT)
        try program.finish(within: 20)
        // The warm-up is captured too: the load is this part of what was sent.
        let frames = try Double(CaptureFile.frameCount(of: file))
        return (frames * report.seconds / (report.seconds + 0.2), report)
    }
}

/// Counts the frames in a capture, which is pcapng or pcap in this machine's byte order.
private enum CaptureFile {
    static func frameCount(of path: String) throws -> Int {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        return data.withUnsafeBytes { bytes in
            func word(_ offset: Int) -> Int {
                Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            }
            guard bytes.count >= 24 else { return 0 }
            var count = 0
            if word(0) == 0x0A0D_0D0A {
                var offset = 0
                while offset + 12 <= bytes.count, word(offset + 4) >= 12 {
                    if word(offset) == 6 { count += 1 }
                    offset += word(offset + 4)
                }
                return count
            }
            var offset = 24
            while offset + 16 <= bytes.count {
                count += 1
                offset += 16 + word(offset + 8)
            }
            return count
        }
    }
}
