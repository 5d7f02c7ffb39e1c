import Synchronization

@testable import Dataplane

/// A port that lends its frames: a head of a few bytes is copied, the rest stays in memory that is
/// overwritten as soon as the burst is released. Whoever reads a loan too late reads rubbish.
final class LendingPort: Port, @unchecked Sendable {
    // @unchecked: tests use it on one thread.
    let offloads: OffloadSet
    let takesSegments: Bool
    let pollDescriptor: Int32? = nil
    private let headByteCount: Int
    private let pieceByteCount: Int
    private var waiting: [(frame: [UInt8], offload: Offload)] = []
    private var lent: [UnsafeMutableRawBufferPointer] = []
    private(set) var releaseCount = 0
    var taken: [(frame: [UInt8], offload: Offload, pieces: Int)] = []

    /// - Parameters:
    ///   - headByteCount: bytes of each frame that are copied; 0 for all.
    ///   - pieceByteCount: bytes of each lent piece at most.
    init(
        headByteCount: Int = 0, pieceByteCount: Int = 1000, offloads: OffloadSet = [],
        takesSegments: Bool = false
    ) {
        self.headByteCount = headByteCount
        self.pieceByteCount = pieceByteCount
        self.offloads = offloads
        self.takesSegments = takesSegments
    }

    func put(_ frame: [UInt8], offload: Offload = .none) { waiting.append((frame, offload)) }

    func receive(into burst: inout Burst) -> ReceiveOutcome {
        while !burst.isFull, !waiting.isEmpty {
            let (frame, offload) = waiting.removeFirst()
            var head = headByteCount == 0 ? frame.count : min(headByteCount, frame.count)
            let room = burst.nextSegments
            // No room for so many pieces: the frame is copied after all.
            if (frame.count - head + pieceByteCount - 1) / pieceByteCount > room.count {
                head = frame.count
            }
            frame.withUnsafeBytes {
                burst.nextBytes.copyMemory(from: $0.baseAddress!, byteCount: head)
            }
            let loan = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(1, frame.count - head), alignment: 1)
            loan.copyBytes(from: frame[head...])
            lent.append(loan)
            var count = 0
            var offset = 0
            while offset < frame.count - head {
                let byteCount = min(pieceByteCount, frame.count - head - offset)
                room[count] = FrameSegment(
                    bytes: UnsafeRawPointer(loan.baseAddress!) + offset, byteCount: byteCount)
                count += 1
                offset += byteCount
            }
            burst.append(
                headByteCount: head, segmentCount: count, byteCount: frame.count, offload: offload)
        }
        return waiting.isEmpty ? .drained : .more
    }

    func releaseBurst() {
        releaseCount += 1
        for loan in lent {
            loan.initializeMemory(as: UInt8.self, repeating: 0xEE)
            loan.deallocate()
        }
        lent = []
    }

    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        for index in entries.indices {
            let entry = entries[index]
            let frame = [UInt8](unsafeUninitializedCapacity: entry.frameByteCount) {
                $1 = entry.copyFrame(to: $0.baseAddress!, capacity: entry.frameByteCount)
            }
            taken.append((frame, Offload(wire: entry.head), Int(entry.tailCount)))
            entries[index].outcome = .none
        }
    }
}
