import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite("Frames that wait for a socket")
struct SocketBacklogTests {
    /// An entry in up to three pieces, as a port gets them.
    private func withEntry<Value>(
        _ frame: [UInt8], headByteCount: Int, _ body: (TransmitEntry) -> Value
    ) -> Value {
        var head = [UInt8](repeating: 0xEE, count: SlotSize.vnetHeader) + frame[..<headByteCount]
        var rest = Array(frame[headByteCount...]) + [0]
        return head.withUnsafeMutableBytes { head in
            rest.withUnsafeMutableBytes { rest in
                body(
                    TransmitEntry(
                        head: head.baseAddress ?? rest.baseAddress!,
                        headByteCount: head.count, body: rest.baseAddress!,
                        bodyByteCount: frame.count - headByteCount, outcome: .none))
            }
        }
    }

    @Test(
        "come out as they went in, whatever their lengths and the order of calls", arguments: 0..<20
    )
    func random(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var backlog = FrameBacklog(capacity: 4096)
        var model: [[UInt8]] = []
        var refusals = 0
        for number in 0..<5000 {
            if Bool.random(using: &random) {
                let frame = NumberedFrame.make(
                    number, byteCount: Int.random(in: 4...900, using: &random))
                let split = Int.random(in: 4...frame.count, using: &random)
                let isTaken = withEntry(frame, headByteCount: split) { backlog.append($0) }
                let used = model.reduce(0) { $0 + 8 + ($1.count + 7) & ~7 }
                #expect(isTaken == (used + 8 + (frame.count + 7) & ~7 <= 4096))
                if isTaken { model.append(frame) } else { refusals += 1 }
            } else {
                backlog.removeFirst()
                if !model.isEmpty { model.removeFirst() }
            }
            let isEmpty = backlog.isEmpty
            #expect(isEmpty == model.isEmpty)
            guard number % 50 == 0 else { continue }
            var position = backlog.first
            var found: [[UInt8]] = []
            while let frame = backlog.frame(at: position) {
                found.append(Array(frame.bytes))
                position = frame.next
            }
            #expect(found == model)
        }
        #expect(refusals > 0)
        backlog.reset()
        let isEmpty = backlog.isEmpty
        #expect(isEmpty)
    }
}
