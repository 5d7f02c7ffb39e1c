import TestSupport
import Testing

@testable import Capture

@Suite("A capture session")
struct CaptureSessionTests {
    private static let clock = CaptureSession.Clock(
        monotonicNanoseconds: 5_000, wallNanoseconds: 1_700_000_000_000_000_000)

    private static let points = [
        CapturePoint(portIndex: 7, name: "web-1", description: "tap", macAddress: 0x0200_0000_0001),
        CapturePoint(portIndex: 2, name: "db-1"),
    ]

    @Test("writes each record at its port's interface, with its direction and its wall time")
    func records() throws {
        var capture = try Capture()
        #expect(capture.record(port: 7, .ingress, at: 5_001, [1, 2, 3]) == .written)
        #expect(capture.record(port: 2, .egress, at: 6_000, [4], original: 99) == .written)
        #expect(capture.record(port: 7, .egress, at: 4_999, [5]) == .written)
        let file = try capture.finished(at: 9_000)
        #expect(file.application == "heddle test")
        #expect(file.interfaces.map(\.name) == ["web-1", "db-1"])
        #expect(file.interfaces[0].macAddress == [2, 0, 0, 0, 0, 1])
        #expect(file.names.map(\.address) == [[2, 0, 0, 0, 0, 1]])
        #expect(file.names.map(\.names) == [["web-1"]])
        #expect(file.packets.map(\.interfaceID) == [0, 1, 0])
        #expect(file.packets.map(\.direction) == [.inbound, .outbound, .outbound])
        #expect(
            file.packets.map { Int64($0.timestampNanoseconds) - 1_700_000_000_000_000_000 }
                == [1, 1_000, -1])
        #expect(file.packets.map(\.bytes) == [[1, 2, 3], [4], [5]])
        #expect(file.packets.map(\.originalByteCount) == [3, 99, 1])
    }

    @Test("filters before it cuts, and names the filter at each interface")
    func filterAndSnapLength() throws {
        var capture = try Capture(filter: "vlan 10 and icmp", snapLength: 14)
        let ping = CaptureFilterTests.taggedPing
        #expect(capture.record(port: 7, .ingress, at: 5_001, ping) == .written)
        #expect(capture.record(port: 7, .ingress, at: 5_002, CaptureFilterTests.arp) == .filtered)
        let file = try capture.finished(at: 9_000)
        #expect(file.interfaces.allSatisfy { $0.filter == "vlan 10 and icmp" })
        #expect(file.interfaces.allSatisfy { $0.snapLength == 14 })
        #expect(file.packets.map(\.bytes) == [Array(ping[..<14])])
        #expect(file.packets[0].originalByteCount == ping.count)
        #expect(capture.session.counts[0].counts == .init(seen: 2, filtered: 1, written: 1))
    }

    @Test("a frame's block says what was remarked of it, and nothing where nothing was")
    func comments() throws {
        var capture = try Capture()
        _ = capture.record(port: 7, .ingress, at: 5_001, [1], comment: "flooded to 3")
        _ = capture.record(port: 7, .egress, at: 5_001, [1])
        let file = try capture.finished(at: 9_000)
        #expect(file.packets.map(\.comments) == [["flooded to 3"], []])
        #expect(file.packets.map(\.direction) == [.inbound, .outbound])
    }

    @Test("ends each interface with its statistics, frames that the ring lost included")
    func statistics() throws {
        var capture = try Capture(filter: "arp")
        _ = capture.record(port: 7, .ingress, at: 5_001, CaptureFilterTests.arp)
        _ = capture.record(port: 7, .ingress, at: 5_001, CaptureFilterTests.taggedPing)
        let file = try capture.finished(at: 9_000, ringDrops: [7: 40, 99: 1])
        let start: UInt64 = 1_700_000_000_000_000_000
        #expect(file.statistics.map(\.interfaceID) == [0, 1])
        #expect(file.statistics.map(\.received) == [42, 0])
        #expect(file.statistics.map(\.dropped) == [40, 0])
        #expect(file.statistics.map(\.accepted) == [1, 0])
        #expect(file.statistics.map(\.delivered) == [1, 0])
        #expect(file.statistics.map(\.startNanoseconds) == [start, start])
        #expect(file.statistics.map(\.endNanoseconds) == [start + 4_000, start + 4_000])
        #expect(file.statistics.map(\.timestampNanoseconds) == [start + 4_000, start + 4_000])
        #expect(capture.record(port: 7, .ingress, at: 9_001, CaptureFilterTests.arp) == .over)
        let byteCount = capture.output.count
        _ = try capture.finished(at: 9_002)
        #expect(capture.output.count == byteCount)
    }

    @Test("is over after as many written frames as were asked for")
    func frameLimit() throws {
        var capture = try Capture(filter: "arp", maximumFrameCount: 2)
        let (arp, ping) = (CaptureFilterTests.arp, CaptureFilterTests.taggedPing)
        let outcomes = [arp, ping, arp, arp, ping].map {
            capture.record(port: 7, .ingress, at: 5_001, $0)
        }
        #expect(outcomes == [.written, .filtered, .written, .over, .over])
        #expect(capture.session.isOver(atMonotonicNanoseconds: 0))
        #expect(try capture.finished(at: 9_000).packets.count == 2)
    }

    @Test("is over when its time is, not before, whatever the clock said before it began")
    func durationLimit() throws {
        var capture = try Capture(maximumDurationNanoseconds: 100)
        let outcomes = [4_000, 5_000, 5_099, 5_100, .max].map {
            capture.record(port: 7, .ingress, at: $0, [1])
        }
        #expect(outcomes == [.written, .written, .written, .over, .over])
        #expect(!capture.session.isOver(atMonotonicNanoseconds: 5_099))
        #expect(capture.session.isOver(atMonotonicNanoseconds: 5_100))
    }

    @Test("counts records of ports that are none of its points and writes nothing")
    func unknownPort() throws {
        var capture = try Capture()
        for port in [0, 3, 8, UInt16.max] {
            #expect(capture.record(port: port, .ingress, at: 5_001, [1]) == .unknownPort)
        }
        #expect(capture.session.unknownPortCount == 4)
        #expect(try capture.finished(at: 9_000).packets.isEmpty)
    }

    @Test("takes ports that come later, also one with an index that was used before")
    func laterPorts() throws {
        var capture = try Capture()
        #expect(capture.record(port: 2, .ingress, at: 5_001, [1]) == .written)
        capture.session.add(
            CapturePoint(portIndex: .max, name: "new", macAddress: 1), into: &capture.output)
        capture.session.add(CapturePoint(portIndex: 2, name: "db-2"), into: &capture.output)
        #expect(capture.record(port: .max, .ingress, at: 5_001, [2]) == .written)
        #expect(capture.record(port: 2, .ingress, at: 5_001, [3]) == .written)
        let file = try capture.finished(at: 9_000, ringDrops: [2: 5])
        #expect(file.interfaces.map(\.name) == ["web-1", "db-1", "new", "db-2"])
        #expect(file.packets(at: "db-1").map(\.bytes) == [[1]])
        #expect(file.packets(at: "new").map(\.bytes) == [[2]])
        #expect(file.packets(at: "db-2").map(\.bytes) == [[3]])
        #expect(file.statistics.map(\.dropped) == [0, 0, 0, 5])
    }

    @Test("loses and invents nothing, whatever it is fed", arguments: 0..<10 as Range<UInt64>)
    func conservation(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var capture = try Capture(
            filter: "ether[0] & 1 = 0", snapLength: UInt32.random(in: 0...300, using: &random))
        let limit = capture.snapLength == 0 ? Int.max : Int(capture.snapLength)
        var expected: [[UInt8]] = []
        var outcomes: [CaptureSession.Outcome] = []
        for _ in 0..<1_000 {
            let bytes = (0..<Int.random(in: 0...400, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let outcome = capture.record(
                port: [7, 2, 3].randomElement(using: &random)!,
                [.ingress, .egress].randomElement(using: &random)!, at: random.next(), bytes,
                original: UInt32(truncatingIfNeeded: random.next()), comment: random.text())
            outcomes.append(outcome)
            if outcome == .written { expected.append(Array(bytes.prefix(limit))) }
        }
        let file = try capture.finished(at: random.next())
        #expect(file.packets.map(\.bytes) == expected)
        let counts = capture.session.counts.map(\.counts)
        #expect(counts.allSatisfy { $0.seen == $0.filtered + $0.written })
        #expect(counts.reduce(0) { $0 + $1.written } == UInt64(expected.count))
        #expect(
            counts.reduce(0) { $0 + $1.seen } + capture.session.unknownPortCount == 1_000)
        for outcome in [CaptureSession.Outcome.written, .filtered, .unknownPort] {
            #expect(outcomes.contains(outcome))
        }
    }

    /// A session with the file it has written so far.
    private struct Capture {
        var session: CaptureSession
        var output: [UInt8] = []
        let snapLength: UInt32

        init(
            filter: String? = nil, snapLength: UInt32 = 0, maximumFrameCount: UInt64? = nil,
            maximumDurationNanoseconds: UInt64? = nil
        ) throws {
            self.snapLength = snapLength
            let configuration = CaptureSession.Configuration(
                filter: try CaptureFilter(filter), snapLength: snapLength,
                maximumFrameCount: maximumFrameCount,
                maximumDurationNanoseconds: maximumDurationNanoseconds)
            session = CaptureSession(
                configuration: configuration, section: PcapngSection(application: "heddle test"),
                points: CaptureSessionTests.points, start: CaptureSessionTests.clock)
            session.begin(into: &output)
        }

        mutating func record(
            port: UInt16, _ direction: CaptureDirection, at stamp: UInt64, _ bytes: [UInt8],
            original: UInt32? = nil, comment: String? = nil
        ) -> CaptureSession.Outcome {
            bytes.withUnsafeBytes {
                session.record(
                    CaptureRecord(
                        portIndex: port, timestampNanoseconds: stamp,
                        originalByteCount: original ?? UInt32(bytes.count), bytes: $0,
                        remarks: PcapngRemarks(direction: direction, comment: comment)),
                    into: &output)
            }
        }

        mutating func finished(
            at stamp: UInt64, ringDrops: [UInt16: UInt64] = [:]
        ) throws -> PcapngFile {
            session.finish(atMonotonicNanoseconds: stamp, ringDrops: ringDrops, into: &output)
            return try PcapngParser.parse(output)
        }
    }
}
