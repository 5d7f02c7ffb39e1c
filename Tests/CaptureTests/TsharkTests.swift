import Foundation
import TestSupport
import Testing

@testable import Capture

@Suite(
    "Wireshark's readers agree with the pcapng writer",
    .enabled(if: ExternalTool.isAvailable("tshark")))
struct TsharkTests {
    private static let stamp: UInt64 = 1_700_000_000_123_456_789

    /// Two ports, three frames: a ping with a comment, an ARP request cut to 20 bytes, a drop.
    private func capture() throws -> [UInt8] {
        let configuration = CaptureSession.Configuration(
            filter: try CaptureFilter("arp or vlan"), snapLength: 60)
        var session = CaptureSession(
            configuration: configuration,
            section: PcapngSection(
                hardware: "x86_64", operatingSystem: "Linux 6.1", application: "heddle 0.1"),
            points: [
                CapturePoint(
                    portIndex: 1, name: "web-1", description: "tap in namespace web-1",
                    macAddress: 0x0200_0000_0001, speed: 10_000_000_000),
                CapturePoint(portIndex: 2, name: "db-1 für «alle»"),
            ],
            start: .init(monotonicNanoseconds: 0, wallNanoseconds: Self.stamp))
        var output: [UInt8] = []
        session.begin(into: &output)
        let frames: [(UInt16, CaptureDirection, [UInt8], String?)] = [
            (1, .ingress, CaptureFilterTests.taggedPing, "größer"),
            (2, .egress, CaptureFilterTests.taggedPing, nil),
            (2, .ingress, CaptureFilterTests.arp, "dropped: vlan-not-allowed"),
        ]
        for (index, (port, direction, bytes, comment)) in frames.enumerated() {
            bytes.withUnsafeBytes {
                let record = CaptureRecord(
                    portIndex: port, timestampNanoseconds: UInt64(index),
                    originalByteCount: UInt32(bytes.count), bytes: $0,
                    remarks: PcapngRemarks(direction: direction, comment: comment))
                #expect(session.record(record, into: &output) == .written)
            }
        }
        session.finish(atMonotonicNanoseconds: 1_000, ringDrops: [2: 17], into: &output)
        return output
    }

    @Test("tshark reads a stream's interfaces, directions, comments and nanoseconds")
    func fields() throws {
        let fields = [
            "frame.time_epoch", "frame.interface_name", "frame.interface_description",
            "frame.packet_flags_direction", "frame.comment", "frame.len", "frame.cap_len",
            "vlan.id", "arp.dst.proto_ipv4",
        ]
        let output = try ExternalTool("tshark").run(
            ["-n", "-r", "-", "-T", "fields", "-E", "separator=|"] + fields.flatMap { ["-e", $0] },
            standardInput: capture())
        #expect(output.status == 0, "\(output.standardError)")
        #expect(
            output.text.split(separator: "\n") == [
                "1700000000.123456789|web-1|tap in namespace web-1|0x00000001|größer|60|60|10|",
                "1700000000.123456790|db-1 für «alle»||0x00000002||60|60|10|",
                "1700000000.123456791|db-1 für «alle»||0x00000001|dropped: vlan-not-allowed|42|42||10.0.0.2",
            ])
    }

    @Test("tshark's JSON has the same, and nothing is malformed or called an error")
    func json() throws {
        let output = try ExternalTool("tshark").run(
            ["-n", "-r", "-", "-T", "json"], standardInput: capture())
        #expect(output.status == 0, "\(output.standardError)")
        let packets = try #require(
            try JSONSerialization.jsonObject(with: Data(output.standardOutput)) as? [[String: Any]])
        #expect(packets.count == 3)
        for packet in packets {
            let source = try #require(packet["_source"] as? [String: Any])
            let layers = try #require(source["layers"] as? [String: Any])
            #expect(layers["_ws.malformed"] == nil)
            let frame = try #require(layers["frame"] as? [String: Any])
            #expect(frame["frame.encap_type"] as? String == "1")
        }
        let tree = try #require(packets[0]["_source"] as? [String: Any])
        let layers = try #require(tree["layers"] as? [String: Any])
        let frame = try #require(layers["frame"] as? [String: Any])
        let interface = try #require(frame["frame.interface_id_tree"] as? [String: String])
        #expect(interface["frame.interface_name"] == "web-1")
    }

    @Test("a stream cut off between two blocks, as by a stopped capture, is read to its end")
    func cutStream() throws {
        var file: [UInt8] = []
        PcapngWriter.append(PcapngSection(), to: &file)
        PcapngWriter.append(PcapngInterface(name: "a"), to: &file)
        let output = try ExternalTool("tshark").run(["-r", "-"], standardInput: file)
        #expect(output.status == 0, "\(output.standardError)")
        #expect(output.text.isEmpty)
    }

    @Test(
        "capinfos reads the program, the machine, the speed, the filter and what was lost",
        .enabled(if: ExternalTool.isAvailable("capinfos", package: "wireshark-common")))
    func capinfos() throws {
        try TemporaryDirectory.with { directory in
            let path = directory.path("capture.pcapng")
            try Data(capture()).write(to: URL(fileURLWithPath: path))
            let output = try ExternalTool("capinfos").run([path])
            #expect(output.status == 0, "\(output.standardError)")
            for line in [
                "Capture application: heddle 0.1", "Capture hardware:    x86_64",
                "Capture oper-sys:    Linux 6.1", "Number of packets:   3",
                "Name = web-1", "Description = tap in namespace web-1",
                "Speed = 10000000000", "Filter string = arp or vlan",
                "Time precision = nanoseconds (9)", "Number of stat entries = 1",
            ] {
                #expect(output.text.contains(line), "\(output.text)")
            }
        }
    }

    @Test("tshark takes names of addresses from the file, past a MAC address's")
    func names() throws {
        var file: [UInt8] = []
        PcapngWriter.append(PcapngSection(), to: &file)
        PcapngWriter.append(
            [
                PcapngName(.mac(0x0200_0000_0001), names: ["web-1"]),
                PcapngName(.ipv6(high: 0x2001_0db8_0000_0000, low: 1), names: ["web-1.blue"]),
                PcapngName(.ipv4(0x0a00_0001), names: ["web-1.lan", "other"]),
            ], to: &file)
        try TemporaryDirectory.with { directory in
            let path = directory.path("capture.pcapng")
            try Data(file).write(to: URL(fileURLWithPath: path))
            let output = try ExternalTool("tshark").run(["-N", "n", "-r", path, "-qz", "hosts"])
            // Of several names for one address, tshark keeps the last.
            #expect(output.text.contains("10.0.0.1\tother\n"), "\(output.text)")
            #expect(output.text.contains("2001:db8::1\tweb-1.blue\n"), "\(output.text)")
        }
    }
}
