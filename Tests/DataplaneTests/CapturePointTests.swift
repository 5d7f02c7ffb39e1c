import Testing
import Wire

@testable import Dataplane

@Suite("What a capture is told of each frame")
struct CapturePointTests {
    /// What a tap has taken.
    private func taken(_ tap: CaptureTap) -> [(record: FrameRecord, bytes: [UInt8])] {
        var found: [(FrameRecord, [UInt8])] = []
        for ring in tap.rings {
            while ring.consume({ found.append(($0, Array($1))) }) {}
        }
        return found
    }

    /// Two access ports and a trunk of one network, one access port of another.
    private func lab() -> TestSwitch {
        let lab = TestSwitch(domains: [
            DomainConfiguration(number: 1, vid: 10), DomainConfiguration(number: 2, vid: 20),
        ])
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1))
        lab.add(.trunk(domains: [1], native: nil))
        lab.add(.access(domain: 2))
        return lab
    }

    @Test("all appearances of a frame have one number, which says where it came in")
    func numbers() {
        let lab = lab()
        let tap = CaptureTap(ports: nil, snapLength: 2000, workers: 1)
        lab.publish(captures: [tap])
        _ = lab.send(frame(to: broadcast, from: host(1)), into: 0)
        _ = lab.send(frame(to: host(1), from: host(2)), into: 1)
        let records = taken(tap).map(\.record)
        #expect(records.map(\.port) == [0, 1, 2, 1, 0])
        #expect(Set(records[..<3].map(\.id)).count == 1)
        #expect(Set(records[3...].map(\.id)).count == 1)
        #expect(records[0].id != records[3].id && records[0].id != 0)
        #expect(records.map(\.ingress) == [0, 0, 0, 1, 1])
    }

    @Test("a frame's record says what was decided of it, and what was learned")
    func verdicts() {
        let lab = lab()
        let tap = CaptureTap(ports: nil, points: .ingress, snapLength: 2000, workers: 1)
        lab.publish(captures: [tap])
        // A burst of several, so that verdicts find the right records.
        let rows: [([UInt8], Verdict.Action, DropReason, Verdict.Learning, UInt16)] = [
            (frame(to: broadcast, from: host(1)), .flood, .none, .learn, 1),
            (frame(to: host(1), from: host(1)), .drop, .hairpin, .none, 1),
            (frame(to: broadcast, from: host(3), tag: 30), .drop, .tagOnAccess, .none, 1),
            (Array(frame(to: broadcast, from: host(1)).prefix(9)), .drop, .runt, .none, 0),
        ]
        for row in rows { #expect(lab.ports[0].put(row.0)) }
        lab.run()
        let found = taken(tap)
        #expect(found.count == rows.count)
        for (row, (record, bytes)) in zip(rows, found) {
            #expect(record.action == row.1 && record.reason == row.2 && record.domain == row.4)
            #expect(bytes == row.0, "as it was received, tag included")
        }
        #expect(found.first?.record.learning == .learn)
        _ = lab.send(frame(to: host(1), from: host(2)), into: 1)
        let forwarded = taken(tap).map(\.record)
        #expect(forwarded.map(\.action) == [.forward] && forwarded.map(\.egress) == [0])
    }

    @Test("a capture of drops gets what ends at ingress and at egress, by reason, and nothing else")
    func drops() {
        let lab = lab()
        let all = CaptureTap(ports: nil, points: .drop, snapLength: 2000, workers: 1)
        let some = CaptureTap(
            ports: nil, points: .drop, reasons: [.vlanNotAllowed], snapLength: 2000, workers: 1)
        lab.publish(captures: [all, some])
        _ = lab.send(frame(to: broadcast, from: host(1)), into: 0)
        let stray = frame(to: broadcast, from: host(5), tag: 20)
        _ = lab.send(stray, into: 2)
        _ = lab.send(frame(to: broadcast, from: host(6)), into: 3)
        let found = taken(all)
        #expect(found.map(\.record.reason) == [.vlanNotAllowed, .floodNowhere])
        #expect(found.map(\.record.port) == [2, 3])
        #expect(found.allSatisfy { $0.record.point == .drop && $0.record.id != 0 })
        #expect(found.first?.record.tci == 20, "its tag was taken from the bytes")
        #expect(taken(some).map(\.record.reason) == [.vlanNotAllowed])
    }

    @Test("a copy that finds its port's queue full is a drop at that port, of a frame from another")
    func egressDrops() {
        let lab = TestSwitch(domains: [DomainConfiguration(number: 1, vid: 10)])
        lab.add(.access(domain: 1))
        lab.add(.access(domain: 1), depth: 2)
        let tap = CaptureTap(ports: [1], points: .drop, snapLength: 2000, workers: 1)
        lab.publish(captures: [tap])
        for _ in 0..<5 {
            #expect(lab.ports[0].put(frame(to: broadcast, from: host(1))))
            lab.run()
        }
        let records = taken(tap).map(\.record)
        #expect(records.count == 3 && records.allSatisfy { $0.reason == .egressFull })
        #expect(records.allSatisfy { $0.port == 1 && $0.ingress == 0 })
        let kept = lab.fabric.links[0].drops.frames(.egressFull, port: 1)
        #expect(kept.count == 3 && kept.allSatisfy { $0.0.ingress == 0 })
    }

    @Test("a sampling capture takes about one of so many, and counts the pool")
    func sampling() {
        let lab = lab()
        let tap = CaptureTap(
            ports: nil, points: .ingress, snapLength: 64, samplingInterval: 10, workers: 1)
        lab.publish(captures: [tap])
        let count = 20_000
        for number in 0..<count {
            #expect(lab.ports[0].put(frame(to: host(9), from: host(UInt64(number % 7)))))
            if number % 50 == 49 {
                lab.run()
                while lab.ports[1].take() != nil {}
                while lab.ports[2].take() != nil {}
            }
        }
        let records = taken(tap).map(\.record)
        // Skips are uniform between 0 and 18: the mean of 2000 of them is within 5 % of 10.
        #expect(abs(records.count - count / 10) < count / 200)
        #expect(abs(Int(tap.samplePool) - count) <= 20)
        #expect(records.allSatisfy { $0.port == 0 && $0.action == .flood })
    }

    @Test(
        "a worker runs the filter, on frames with a tag in two pieces too, and counts what it rejects"
    )
    func filter() throws {
        let lab = lab()
        // ether[12:2] == 0x8100: a tag.
        let tagged = try #require(
            FilterProgram([
                FilterProgram.Instruction(code: 0x28, jumpTrue: 0, jumpFalse: 0, constant: 12),
                FilterProgram.Instruction(
                    code: 0x15, jumpTrue: 0, jumpFalse: 1, constant: 0x8100),
                FilterProgram.Instruction(code: 0x06, jumpTrue: 0, jumpFalse: 0, constant: 65_535),
                FilterProgram.Instruction(code: 0x06, jumpTrue: 0, jumpFalse: 0, constant: 0),
            ]))
        let tap = CaptureTap(ports: nil, filter: tagged, snapLength: 2000, workers: 1)
        lab.publish(captures: [tap])
        _ = lab.send(frame(to: broadcast, from: host(1)), into: 0)
        let records = taken(tap).map(\.record)
        #expect(records.map(\.port) == [2], "the trunk's copy alone has a tag")
        #expect(tap.rejected(port: 0) == 1 && tap.rejected(port: 1) == 1)
    }

    @Test(
        "the recorder keeps every frame's fate, the newest when it is full, and a part of a flood")
    func recorder() {
        let lab = lab()
        let recorder = FlightRecorder(workers: 1, recordCount: 256)
        lab.publish(recorder: recorder)
        let start = lab.time
        for number in 0..<100 {
            lab.advance(seconds: 1)
            _ = lab.send(
                frame(to: broadcast, from: host(UInt64(number)), mark: UInt32(number)), into: 0)
        }
        let all = recorder.frames(since: start)
        #expect(all.count == 100 && recorder.skippedCount == 0)
        #expect(all.allSatisfy { $0.record.action == .flood && $0.record.domain == 1 })
        #expect(recorder.frames(since: lab.time).count == 1)
        #expect(all.last?.bytes.count == min(60, FlightRecorder.snapLength))
        // A flood in one moment: half of the ring at once and no more, the rest is counted.
        for _ in 0..<100 {
            for _ in 0..<10 { #expect(lab.ports[0].put(frame(to: host(1), from: host(2)))) }
            lab.run()
        }
        #expect(recorder.skippedCount >= 1000 - 128)
        let kept = recorder.frames(since: 0)
        #expect(kept.count <= 256 && kept.first?.record.time ?? 0 < lab.time, "older ones stay")
    }

    @Test("the ledger knows when a reason struck first and last, and keeps ports apart")
    func ledger() {
        let lab = lab()
        let ledger = lab.fabric.links[0].drops
        #expect(ledger.times(.tagOnAccess, port: 0) == nil)
        let first = Worker.tick(lab.time)
        for number in 0..<50 {
            _ = lab.send(
                frame(to: broadcast, from: host(1), tag: 30, mark: UInt32(number)), into: 0)
            lab.advance(seconds: 1)
        }
        _ = lab.send(frame(to: broadcast, from: host(2), tag: 31), into: 1)
        #expect(ledger.times(.tagOnAccess, port: 0)?.first == first)
        #expect(ledger.times(.tagOnAccess, port: 0)?.last == first + 490)
        let frames = ledger.frames(.tagOnAccess, port: 0)
        #expect(!frames.isEmpty && frames.count <= 8)
        #expect(frames.last?.1.suffix(46).prefix(4) == [0, 0, 0, 49])
        #expect(ledger.frames(.tagOnAccess, port: 1).map(\.0.tci) == [31])
    }
}
