import TestSupport
import Testing
import Wire

@testable import Dataplane
@testable import Ports

@Suite("Random frames in random shapes come through a vhost-user device")
struct VhostDevicePropertyTests {
    /// A ring and the seed of what is sent by it.
    struct Case: Sendable, CustomTestStringConvertible {
        var options: VirtioFrontEnd.Options
        var seed: UInt64
        var testDescription: String { "\(options), \(options.queueSize), seed \(seed)" }
    }

    static let cases: [Case] = (0..<24).map { seed in
        var random = SeededRandom(seed: UInt64(seed))
        var options = VirtioFrontEnd.Options()
        options.isPacked = seed % 2 == 1
        options.hasEventIndex = seed % 4 < 2
        options.isMergeable = seed % 3 != 0
        options.isModern = seed % 5 != 0
        options.queueSize =
            options.isPacked
            ? Int.random(in: 3...200, using: &random) : [4, 16, 64, 256][seed / 2 % 4]
        // Both indices wrap on the way, as do the counters of packed rings.
        options.start = UInt16(65_535 - Int.random(in: 0...300, using: &random))
        options.receiveLayout = [.chain, .table][seed / 3 % 2]
        let piece = options.isMergeable ? Int.random(in: 20...3000, using: &random) : 2048
        options.receivePieces = [[piece], [piece, 1, piece / 2], [12, piece]][seed % 3]
        return Case(options: options, seed: UInt64(seed))
    }

    private static func size(_ random: inout SeededRandom) -> Int {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: Int.random(in: 14...20, using: &random)
        case 1: Int.random(in: 250...262, using: &random)
        case 2: Int.random(in: 14...9000, using: &random)
        case 3: Int.random(in: 60_000...SlotSize.maximumFrame, using: &random)
        default: Int.random(in: 14...1514, using: &random)
        }
    }

    private static func pieces(_ byteCount: Int, _ random: inout SeededRandom) -> [Int] {
        let count = Int.random(in: 0...6, using: &random)
        return (0..<count).map { _ in
            switch Int.random(in: 0..<4, using: &random) {
            case 0: Int.random(in: 0...14, using: &random)
            case 1: 12
            default: Int.random(in: 0...max(byteCount / 2, 1), using: &random)
            }
        }
    }

    @Test("What is sent is received, once, in order and unchanged", arguments: cases)
    func receiving(one: Case) throws {
        var random = SeededRandom(seed: one.seed &+ 1000)
        let lab = try VhostDeviceLab(one.options)
        var expected: [[UInt8]] = []
        var sent = 0
        var received = 0
        var returned = 0
        for _ in 0..<300 {
            for _ in 0..<Int.random(in: 0...8, using: &random) {
                let size = Self.size(&random)
                if size > 9000, sent % 20 != 0 { continue }
                let frame = testFrame(size, sent)
                let layouts: [VirtioLayout] =
                    one.options.isPacked ? [.chain, .table] : [.chain, .table, .mixed]
                let isSent = lab.guest.send(
                    frame, pieces: Self.pieces(size, &random),
                    layout: layouts.randomElement(using: &random) ?? .chain)
                guard isSent != nil else { continue }
                sent += 1
                expected.append(frame)
            }
            if Bool.random(using: &random) { lab.guest.publish() }
            if Bool.random(using: &random) {
                for frame in lab.receive() {
                    let wanted = try #require(expected.first, "more came than was sent")
                    #expect(frame.bytes == wanted)
                    expected.removeFirst()
                    received += 1
                }
            }
            if Bool.random(using: &random) { returned += lab.guest.reclaim().count }
            if random.next() % 8 == 0, lab.port.arm() { lab.port.disarm() }
        }
        lab.guest.publish()
        received += lab.receiveAll().count
        returned += lab.guest.reclaim().count
        #expect(sent > 150)
        #expect(sent == received && sent == returned)
        #expect(lab.guest.inFlight.isEmpty)
        #expect(lab.port.takeFault() == nil)
        #expect(lab.port.stopQueue(1) == lab.guest.transmitQueue.base)
    }

    @Test("What is transmitted comes in order and unchanged, or is refused", arguments: cases)
    func transmitting(one: Case) throws {
        var random = SeededRandom(seed: one.seed &+ 2000)
        let lab = try VhostDeviceLab(one.options)
        let capacity = one.options.receivePieces.reduce(0, +) - one.options.headerByteCount
        lab.guest.post()
        var expected: [[UInt8]] = []
        var delivered = 0
        var count = 0
        for round in 0..<150 {
            var entries: [VhostDeviceLab.Entry] = []
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                let size = Self.size(&random)
                if size > 9000, round % 10 != 0 { continue }
                var entry = VhostDeviceLab.Entry(bytes: testFrame(size, count))
                count += 1
                if Bool.random(using: &random) {
                    entry.head = Int.random(in: 12...size, using: &random)
                    let rest = size - (entry.head ?? 0)
                    entry.body = Int.random(in: 0...rest, using: &random)
                    entry.tail = Self.pieces(rest, &random)
                }
                entries.append(entry)
            }
            guard !entries.isEmpty else { continue }
            for (entry, outcome) in zip(entries, lab.transmit(entries)) {
                switch outcome {
                case .none: expected.append(entry.bytes)
                case .egressRejected:
                    #expect(!one.options.isMergeable && entry.bytes.count > capacity)
                case .egressFull: break
                default: Issue.record("\(outcome)")
                }
            }
            if Int.random(in: 0..<3, using: &random) > 0 {
                let received = lab.guest.receive().map(\.frame)
                #expect(received == expected)
                delivered += received.count
                expected = []
            }
        }
        #expect(lab.guest.receive().map(\.frame) == expected)
        #expect(delivered > 25)
        #expect(lab.port.takeFault() == nil)
    }

    @Test("A ring may be stopped and gone on with at any time", arguments: cases)
    func stopping(one: Case) throws {
        var random = SeededRandom(seed: one.seed &+ 3000)
        let lab = try VhostDeviceLab(one.options)
        lab.guest.post()
        for round in 0..<100 {
            let count = Int.random(in: 0...3, using: &random)
            for place in 0..<count { _ = lab.guest.send(testFrame(100 + place, round)) }
            lab.guest.publish()
            if Bool.random(using: &random) {
                let isPending = Bool.random(using: &random)
                if !isPending { #expect(lab.receiveAll().count == lab.guest.reclaim().count) }
                for index in 0...1 {
                    let base = try #require(lab.port.stopQueue(index))
                    var setup = lab.setup(index)
                    setup.base = base
                    if !one.options.isPacked, random.next() % 2 == 0 {
                        // A front-end that lost count.
                        setup.base = UInt32(truncatingIfNeeded: random.next() & 0xFFFF)
                    }
                    try lab.port.startQueue(index, setup)
                }
            }
            let received = lab.receiveAll().count
            #expect(received == lab.guest.reclaim().count)
            let frame = testFrame(60, round)
            if lab.transmit(frame) == .none {
                #expect(lab.guest.receive().map(\.frame) == [frame])
            }
        }
        #expect(lab.guest.inFlight.isEmpty)
        #expect(lab.port.takeFault() == nil)
    }
}
