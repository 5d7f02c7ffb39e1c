import Foundation
import TestSupport
import Testing

@testable import Capture

@Suite(
    "Capture files of Wireshark's tools",
    .enabled(if: ExternalTool.isAvailable("editcap") && ExternalTool.isAvailable("mergecap")))
struct CaptureToolFilesTests {
    /// Two ports' frames as Heddle writes them.
    private func capture(of ports: [String]) -> [UInt8] {
        var file: [UInt8] = []
        PcapngWriter.append(PcapngSection(), to: &file)
        for port in ports {
            PcapngWriter.append(PcapngInterface(name: port, description: "a port"), to: &file)
        }
        for index in 0..<ports.count * 3 {
            var bytes = [UInt8](repeating: 0xFF, count: 60)
            bytes[59] = UInt8(index)
            bytes.withUnsafeBytes {
                PcapngWriter.append(
                    PcapngPacket(
                        interfaceID: UInt32(index % ports.count),
                        timestampNanoseconds: 1_700_000_000_000_000_000 + UInt64(index),
                        originalByteCount: 60, packetID: UInt64(index),
                        remarks: PcapngRemarks(
                            direction: index % 2 == 0 ? .ingress : .egress,
                            comment: "forwarded to web-\(index)")),
                    bytes: $0, to: &file)
            }
        }
        return file
    }

    private func run(_ tool: String, _ arguments: [String]) throws {
        let output = try ExternalTool(tool).run(arguments)
        try #require(output.status == 0, "\(output.standardError)")
    }

    @Test("what the writer wrote, the reader reads, also after editcap has rewritten it")
    func rewritten() throws {
        try TemporaryDirectory.with { directory in
            let (own, theirs) = (directory.path("own"), directory.path("theirs"))
            try Data(capture(of: ["web-1", "web-2"])).write(to: URL(fileURLWithPath: own))
            try run("editcap", ["-F", "pcapng", own, theirs])
            let file = try SeenFile(at: own)
            #expect(file.frames.count == 6)
            #expect(file.frames[1].interface == "web-2")
            #expect(file.frames[1].direction == .egress)
            #expect(file.frames[1].comment == "forwarded to web-1")
            #expect(try SeenFile(at: theirs).frames == file.frames)
        }
    }

    @Test("editcap's pcap files are read, in micro- and nanoseconds, and cut frames")
    func classic() throws {
        try TemporaryDirectory.with { directory in
            let own = directory.path("own")
            try Data(capture(of: ["web-1"])).write(to: URL(fileURLWithPath: own))
            for (form, unit) in [("pcap", 1000), ("nsecpcap", 1)] as [(String, UInt64)] {
                let path = directory.path(form)
                try run("editcap", ["-F", form, "-s", "20", own, path])
                let frames = try SeenFile(at: path).frames
                #expect(frames.map(\.original) == [60, 60, 60])
                #expect(frames.map(\.bytes.count) == [20, 20, 20])
                let stamps = (0..<3).map {
                    (1_700_000_000_000_000_000 + UInt64($0)) / unit * unit
                }
                #expect(frames.map(\.stamp) == stamps)
            }
        }
    }

    @Test("mergecap's files have the interfaces of both, and put in a row, both sections")
    func merged() throws {
        try TemporaryDirectory.with { directory in
            let paths = ["a", "b", "merged", "row"].map { directory.path($0) }
            let (a, b) = (capture(of: ["web-1", "web-2"]), capture(of: ["db-1"]))
            try Data(a).write(to: URL(fileURLWithPath: paths[0]))
            try Data(b).write(to: URL(fileURLWithPath: paths[1]))
            try Data(a + b).write(to: URL(fileURLWithPath: paths[3]))
            try run("mergecap", ["-F", "pcapng", "-w", paths[2], paths[0], paths[1]])
            for path in paths[2...] {
                let file = try SeenFile(at: path)
                #expect(file.frames.count == 9)
                #expect(file.frames.count { $0.interface == "web-1" } == 3)
                #expect(file.frames.count { $0.interface == "db-1" } == 3)
            }
        }
    }
}
