import ControlAPI
import Foundation
import TestSupport
import Testing

@testable import heddle

@Suite("heddle trace without a switch", .timeLimit(.minutes(1)))
struct TraceCommandTests {
    /// The executable, built beside the tests.
    private static let executable = URL(fileURLWithPath: CommandLine.arguments[0])
        .deletingLastPathComponent().appendingPathComponent("heddle").path

    private static let lab = """
        heddle: 1
        networks: {blue: {vlan: 10}, green: {vlan: 20}}
        ports:
          web-1: {network: blue, tap: {address: [10.10.0.1/24], mac: 02:00:00:00:00:01}}
          web-2: {network: blue, tap: {}}
          fw-1: {trunk: [blue, green], tap: {}}
        """

    private func trace(_ arguments: [String]) throws -> ExternalTool.Output {
        try ExternalTool(Self.executable).run(["trace"] + arguments)
    }

    /// Runs the body with files: the topology, another one, and captures.
    private func withFiles(_ body: (TemporaryDirectory) throws -> Void) throws {
        try TemporaryDirectory.with { directory in
            try Self.lab.write(
                toFile: directory.path("lab.yaml"), atomically: true, encoding: .utf8)
            try Self.lab.replacing("[blue, green]", with: "[blue]").write(
                toFile: directory.path("new.yaml"), atomically: true, encoding: .utf8)
            try Data(Self.capture).write(to: URL(fileURLWithPath: directory.path("a.pcapng")))
            try body(directory)
        }
    }

    /// web-1's broadcast, and fw-1's on green, as Heddle writes them.
    private static let capture = Hex.bytes(
        """
        0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000
        01000000 24000000 0100 0000 00000000 0200 0500 7765622d31 000000 0000 0000 24000000 # web-1
        01000000 20000000 0100 0000 00000000 0200 0400 66772d31 0000 0000 20000000 # fw-1
        06000000 48000000 00000000 00000000 00000000 10000000 10000000
        ffffffffffff 020000000001 88b5 0000 0200 0400 01000000
        0100 0a00 666c6f6f64656420746f 0000 48000000 # a comment that says nothing
        06000000 48000000 01000000 00000000 00000000 14000000 14000000
        ffffffffffff 020000000003 8100 0014 88b5 0000 0200 0400 01000000
        0100 0800 636f6e73756d6564 48000000 # consumed
        """)

    @Test("explains a frame by a file, as a table and as JSON")
    func explains() throws {
        try withFiles { directory in
            let file = ["--topology", directory.path("lab.yaml")]
            let arp = try trace(file + ["--port", "web-1", "--arp", "10.10.0.2"])
            #expect(arp.status == 0, "\(arp.standardError)")
            #expect(arp.text.contains("sender 02:00:00:00:00:01 10.10.0.1"))
            #expect(arp.text.contains("verdict   flooded to 2 ports\n"))
            let json = try trace(
                file + [
                    "--port", "fw-1", "--dst", "02:00:00:00:00:09", "--vlan", "30", "--output",
                    "json",
                ])
            let info = try TraceInfo(json: json.standardOutput)
            #expect(info.action == "dropped" && info.reason == "vlan-not-allowed")
            #expect(info.remedy?.contains("'trunk:'") == true)
            #expect(info.network == nil && info.egress.isEmpty)
            let hex = try trace(
                file + ["--port", "web-2", "--frame", "ff:ff:ff:ff:ff:ff 0200 0000 0002 88b5"])
            #expect(hex.text.contains("verdict   flooded to 2 ports"))
        }
    }

    @Test("explains a capture's frames, learning as they pass")
    func captures() throws {
        try withFiles { directory in
            let output = try trace([
                "--topology", directory.path("lab.yaml"), "--pcap", directory.path("a.pcapng"),
                "-c", "1",
            ])
            #expect(output.status == 0, "\(output.standardError)")
            #expect(output.text.hasPrefix("frame 1, from web-1\n"))
            #expect(output.text.hasSuffix("1 frame more; -c 2 shows them\n"))
            let json = try trace([
                "--topology", directory.path("lab.yaml"), "--pcap", directory.path("a.pcapng"),
                "--output", "json",
            ])
            let list = try TraceList(json: json.standardOutput)
            #expect(list.traces.map(\.number) == [1, 2])
            #expect(list.traces.map(\.verdict)[0] == "flooded to 2 ports")
        }
    }

    @Test("exits 0 when a candidate changes nothing, 2 when something, 1 on errors")
    func candidate() throws {
        try withFiles { directory in
            let pcap = ["--pcap", directory.path("a.pcapng")]
            let old = ["--topology", directory.path("lab.yaml")]
            let same = try trace(pcap + old + ["--candidate", directory.path("lab.yaml")])
            #expect(same.status == 0, "\(same.standardError)")
            #expect(same.text.hasSuffix("a.pcapng: 2 frames, 2 replayed, 0 would end otherwise\n"))
            let new = ["--candidate", directory.path("new.yaml")]
            let changed = try trace(pcap + old + new + ["--output", "json"])
            #expect(changed.status == 2)
            let info = try WhatIfInfo(json: changed.standardOutput)
            #expect(
                info.changes == [
                    FateChange(
                        port: "fw-1", was: "dropped: flood-nowhere",
                        wouldBe: "dropped: vlan-not-allowed", frames: 1, firstFrame: 2,
                        reason: "vlan-not-allowed",
                        sentence: "the frame's VLAN is not in the port's trunk",
                        remedy: "add the network to the port's 'trunk:', or fix the tag at the "
                            + "sender")
                ])
            let alone = try trace(pcap + new)
            #expect(alone.status == 0)
            #expect(alone.text.contains("--topology FILE compares"))
            #expect(alone.text.contains("dropped: vlan-not-allowed"))
        }
    }

    static let failures: [([String], String)] = [
        (["--topology", "lab.yaml", "--port", "web-3", "--arp", "10.0.0.1"], "did you mean"),
        (["--topology", "lab.yaml", "--port", "web-1", "--frame", "0g"], "'0g' is no hexadecimal"),
        (["--topology", "no.yaml", "--port", "web-1", "--frame", "00"], "no.yaml: there is no"),
        (
            ["--topology", "lab.yaml", "--host", "a", "--port", "web-1", "--frame", "00"],
            "no hosts"
        ),
        (["--topology", "lab.yaml", "--pcap", "lab.yaml"], "byte 0: this is neither pcapng nor"),
        (["--candidate", "lab.yaml", "--pcap", "no.pcap"], "cannot open capture file 'no.pcap'"),
        (["--candidate", "lab.yaml", "--pcap", "a.pcapng", "--port", "x"], "there is no port 'x'"),
        (["--socket", "/nonexistent", "--port", "a", "--frame", "00"], "no switch answers"),
    ]

    @Test("says what is wrong", arguments: failures)
    func failure(_ arguments: [String], _ text: String) throws {
        try withFiles { directory in
            let paths = arguments.map {
                ["lab.yaml", "a.pcapng"].contains($0) ? directory.path($0) : $0
            }
            let output = try trace(paths)
            #expect(output.status == 1)
            #expect(output.standardError.hasPrefix("heddle: "))
            #expect(output.standardError.contains(text), "\(output.standardError)")
        }
    }
}
