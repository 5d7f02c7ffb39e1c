import Capture
import Dataplane
import Foundation
import TestSupport
import Testing
import Topology
import Wire

@testable import Trace

@Suite("What a candidate topology would change")
struct WhatIfTests {
    private static let old = """
        heddle: 1
        networks: {blue: {vlan: 10}, green: {vlan: 20}}
        ports:
          web-1: {network: blue, tap: {namespace: web-1}}
          web-2: {network: blue, tap: {namespace: web-2}}
          fw-1: {trunk: [blue, green], tap: {namespace: fw-1}}
        """

    private func run(
        _ rows: [CapturedRow], to candidate: String, from baseline: String? = nil,
        port: String? = nil
    ) throws -> WhatIfResult {
        try TemporaryDirectory.with { directory in
            let path = directory.path("a.pcapng")
            try Data(CapturedRow.file(rows)).write(to: URL(fileURLWithPath: path))
            var whatIf = try WhatIf(
                candidate: OfflineSwitchTests.make(candidate),
                baseline: try baseline.map { try OfflineSwitchTests.make($0) }, port: port)
            let reader = try CaptureFileReader(path: path)
            try reader.forEachFrame {
                whatIf.replay($0, $1)
                return true
            }
            return whatIf.finish()
        }
    }

    /// Two hosts of blue that talk, and the firewall that speaks on green.
    private static let talk = [
        CapturedRow("web-1", plainFrame(.broadcast, station(1)), "flooded to 2 ports"),
        CapturedRow("web-2", plainFrame(station(1), station(2)), "forwarded to web-1"),
        CapturedRow("web-1", plainFrame(station(1), station(2)), nil, direction: .egress),
        CapturedRow("web-1", plainFrame(station(2), station(1)), "forwarded to web-2"),
        CapturedRow(
            "fw-1", plainFrame(.broadcast, station(3), vlan: 20),
            "dropped: flood-nowhere: the frame was to be flooded"),
    ]

    @Test("is nothing when it is the same, compared with a topology or with the capture itself")
    func unchanged() throws {
        for baseline in [Self.old, nil] {
            let result = try run(Self.talk, to: Self.old, from: baseline)
            #expect(result.changes.isEmpty)
            #expect(result.frames == 5 && result.replayed == 4 && result.outbound == 1)
            #expect(result.compared == 4)
            #expect(result.baseline == (baseline == nil ? .capture : .topology))
        }
    }

    @Test("is grouped by port and fates, with the first frame of each group")
    func grouped() throws {
        let new = Self.old.replacing("trunk: [blue, green]", with: "trunk: [blue]")
        let rows = Self.talk + [Self.talk[4], Self.talk[4]]
        for baseline in [Self.old, nil] {
            let result = try run(rows, to: new, from: baseline)
            #expect(
                result.changes == [
                    WhatIfResult.Change(
                        port: "fw-1", was: .dropped(.floodNowhere),
                        wouldBe: .dropped(.vlanNotAllowed), frames: 3, firstFrame: 5)
                ])
            #expect(result.changes.first?.wouldBe.sentence?.contains("trunk") == true)
            #expect(result.changes.first?.wouldBe.remedy?.contains("'trunk:'") == true)
        }
    }

    @Test("is a port that is gone")
    func portGone() throws {
        let new = Self.old.split(separator: "\n").filter { !$0.contains("web-2:") }
            .joined(separator: "\n")
        let result = try run(Self.talk, to: new, from: Self.old)
        #expect(
            result.changes.contains {
                $0.port == "web-2" && $0.was == .forwarded("web-1") && $0.wouldBe == .noPort
            })
        #expect(result.unknownInterfaces.isEmpty)
    }

    @Test("counts what it cannot replay, and says why")
    func skipped() throws {
        let rows = [
            CapturedRow("eth0", plainFrame(.broadcast, station(1))),
            CapturedRow("eth0", plainFrame(.broadcast, station(1))),
            CapturedRow(
                "web-1", Array(plainFrame(.broadcast, station(1)).prefix(12)), original: 60),
        ]
        let result = try run(rows, to: Self.old)
        #expect(result.unknownInterfaces == [.init(interface: "eth0", frames: 2)])
        #expect(result.tooShort == 1 && result.replayed == 0)
        #expect(result.baseline == .none)
        // All of them come from where they are said to.
        #expect(try run(rows, to: Self.old, port: "web-1").replayed == 2)
        #expect(throws: TraceError.self) { try run(rows, to: Self.old, port: "web-9") }
    }

    @Test("does not count what the capture's switch knew and the file does not show")
    func unlocated() throws {
        // The answer of web-2 is not in the file: the replay has to flood.
        let rows = [CapturedRow("web-1", plainFrame(station(2), station(1)), "forwarded to web-2")]
        let result = try run(rows, to: Self.old)
        #expect(result.changes.isEmpty && result.unlocated == 1)
        // Where the flood does not get to web-2 any more, it is a change all the same.
        let new = Self.old.replacing("web-2: {network: blue", with: "web-2: {network: green")
        #expect(try run(rows, to: new).changes.count == 1)
    }

    @Test("takes large TCP frames for super-frames, unless they were too large")
    func superFrames() throws {
        let tcp = FrameBuilder(from: station(1), to: station(2)).ipv4()
            .tcp(payload: [UInt8](repeating: 0, count: 100))
        let udp = FrameBuilder(from: station(1), to: station(2)).ipv4()
            .udp(payload: [UInt8](repeating: 0, count: 100))
        let rows = [
            CapturedRow("web-1", tcp, original: 30_000),
            CapturedRow("web-1", udp, original: 5_000),
            CapturedRow("web-1", tcp, "dropped: oversize: too large", original: 30_000),
        ]
        let result = try run(rows, to: Self.old)
        #expect(result.superFrames == 1)
        #expect(result.changes.isEmpty)
        #expect(result.fates.first { $0.fate == .dropped(.oversize) }?.frames == 2)
    }

    @Test("follows the capture's clock: addresses age as they did")
    func ageing() throws {
        var rows = Self.talk
        rows.append(CapturedRow("web-1", plainFrame(station(2), station(1)), time: 250))
        rows.append(CapturedRow("web-1", plainFrame(station(2), station(1)), time: 350))
        let result = try run(rows, to: Self.old)
        #expect(
            result.fates.first { $0.port == "web-1" && $0.fate == .forwarded("web-2") }?.frames == 2
        )
        #expect(
            result.fates.first { $0.port == "web-1" && $0.fate == .flooded(["fw-1", "web-2"]) }?
                .frames == 2)
    }

    static let comments: [(String, Fate?)] = [
        ("forwarded to web-2", .forwarded("web-2")),
        ("forwarded to vxlan:beta in network blue; source learned", .forwarded("vxlan:beta")),
        ("forwarded to web-2 \nmore", .forwarded("web-2")),
        ("forwarded to a port that is gone", nil),
        ("flooded to 3 ports", .floodedTo(count: 3)), ("flooded to 1 port", .floodedTo(count: 1)),
        ("flooded to 0 ports; new", .floodedTo(count: 0)),
        ("flooded in network blue; source learned", .floodedTo(count: nil)),
        ("flooded", .floodedTo(count: nil)),
        ("dropped: runt: the frame ends", .dropped(.runt)), ("dropped: runt", .dropped(.runt)),
        ("dropped: oversize: too large in network blue", .dropped(.oversize)),
        ("dropped: no-such-reason: x", .droppedOtherwise("no-such-reason")),
        ("consumed", .consumed), ("consumed: the switch's own probe came back", .consumed),
        ("", nil), ("forwarded to ", nil), ("flooded to all", nil), ("dropped: ", nil),
        ("seen by tcpdump", nil), ("flooded to 99999999999999999999 ports", nil),
        ("from web-1 in network blue", nil),
    ]

    @Test("reads the verdict at the start of a comment, and nothing else", arguments: comments)
    func comment(_ text: String, _ fate: Fate?) {
        Array(text.utf8).withUnsafeBytes { #expect(RecordedFate.parse($0) == fate) }
    }

    @Test("agrees with explanations, frame by frame", arguments: 0..<5)
    func agrees(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let ports = ["web-1", "web-2", "fw-1"]
        let rows = (0..<300).map { _ in
            CapturedRow(
                ports.randomElement(using: &random) ?? "web-1",
                plainFrame(
                    Int.random(in: 0..<3, using: &random) == 0
                        ? .broadcast : station(UInt64.random(in: 0..<9, using: &random)),
                    station(UInt64.random(in: 1..<9, using: &random)),
                    vlan: ([nil, 10, 20, 30] as [UInt16?]).randomElement(using: &random) ?? nil))
        }
        let offline = try OfflineSwitchTests.make(Self.old)
        var expected: [String: UInt64] = [:]
        for row in rows {
            let report = try offline.explain(row.bytes, from: row.interface)
            expected["\(row.interface) \(report.fate)", default: 0] += 1
            offline.learn(from: row.bytes, port: row.interface)
        }
        var found: [String: UInt64] = [:]
        for count in try run(rows, to: Self.old).fates {
            found["\(count.port) \(count.fate)", default: 0] += count.frames
        }
        #expect(found == expected)
    }
}
