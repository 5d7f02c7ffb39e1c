import Synchronization

/// A bounded queue of frames between one worker and one thread that looks at them.
///
/// Records of different length lie one after the other in a ring of bytes, each after a word that
/// says how far it is to the next; one that would cross the end begins at the start again. The worker never waits: a record that finds no room is counted in
/// ``dropped(port:)``. As in ``SPSCRing`` the producer alone writes `tail`, the consumer alone `head`.
///
/// What a worker has appended it may still complete, a verdict say, until it publishes.
package final class CaptureRing: @unchecked Sendable {
    // @unchecked: constant pointers; bytes between head and tail belong to the consumer, all others
    // and `written` to the producer.

    private let capacity: Int
    private let memory: UnsafeMutableRawPointer
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)
    /// Up to where the producer has written.
    private let written: UnsafeMutablePointer<Int>
    let portCapacity: Int
    private let lost: UnsafeMutablePointer<Atomic<UInt64>>
    private let unwanted: UnsafeMutablePointer<Atomic<UInt64>>

    /// - Parameters:
    ///   - capacity: bytes; a power of two.
    ///   - portCapacity: ports are numbered below this.
    package init(capacity: Int, portCapacity: Int) {
        precondition(capacity >= 4096 && capacity & (capacity - 1) == 0)
        self.capacity = capacity
        self.portCapacity = portCapacity
        memory = .allocate(byteCount: capacity, alignment: 64)
        // No worker is to be the first to touch it.
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
        written = .allocate(capacity: 1)
        written.initialize(to: 0)
        lost = CaptureRing.counters(portCapacity)
        unwanted = CaptureRing.counters(portCapacity)
    }

    private static func counters(_ count: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        words.initialize(repeating: 0, count: count)
        return UnsafeMutableRawPointer(words).bindMemory(
            to: Atomic<UInt64>.self, capacity: count)
    }

    deinit {
        memory.deallocate()
        written.deallocate()
        lost.deallocate()
        unwanted.deallocate()
    }

    /// Records of a port that found no room.
    package func dropped(port: UInt16) -> UInt64 { lost[Int(port)].load(ordering: .relaxed) }

    /// Frames of a port that a filter rejected.
    package func rejected(port: UInt16) -> UInt64 { unwanted[Int(port)].load(ordering: .relaxed) }

    /// Producer: counts a frame that a filter rejected.
    func reject(port: UInt16) {
        let count = unwanted[Int(port)].load(ordering: .relaxed)
        unwanted[Int(port)].store(count &+ 1, ordering: .relaxed)
    }

    /// Producer: adds a frame, of which at most `snapLength` bytes are kept. The consumer sees it
    /// after ``publish()``; until then its record may be changed where it lies. Nil when there was no
    /// room.
    ///
    /// The frame's length is that of `bytes`, unless the record says it is longer.
    @discardableResult
    func append(
        _ record: FrameRecord, snapLength: Int, head bytes: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<FrameRecord>? {
        let original = max(bytes.count, Int(record.originalByteCount))
        let captured = min(bytes.count, snapLength)
        guard let place = reserve(record, original: original, captured: captured) else {
            return nil
        }
        if let base = bytes.baseAddress {
            (place + CaptureRing.recordSize).copyMemory(from: base, byteCount: captured)
        }
        return place.assumingMemoryBound(to: FrameRecord.self)
    }

    /// Producer: adds a copy as it was transmitted, in however many pieces.
    func append(_ record: FrameRecord, snapLength: Int, _ entry: TransmitEntry) {
        let original = entry.frameByteCount
        let captured = min(original, snapLength)
        guard let place = reserve(record, original: original, captured: captured) else { return }
        _ = entry.copyFrame(to: place + CaptureRing.recordSize, capacity: captured)
    }

    private static let recordSize = MemoryLayout<FrameRecord>.stride
    /// The stride's word, and its padding.
    private static let strideSize = 8

    /// Room for a record and its bytes, which follow it; the record is written.
    private func reserve(
        _ record: FrameRecord, original: Int, captured: Int
    ) -> UnsafeMutableRawPointer? {
        let stride = (CaptureRing.strideSize + CaptureRing.recordSize + captured + 7) & ~7
        var position = written.pointee
        let used = position &- head.load(ordering: .acquiring)
        let untilEnd = capacity - (position & (capacity - 1))
        let needed = stride <= untilEnd ? stride : untilEnd + stride
        guard used + needed <= capacity else {
            let count = lost[Int(record.port)].load(ordering: .relaxed)
            lost[Int(record.port)].store(count &+ 1, ordering: .relaxed)
            return nil
        }
        if stride > untilEnd {
            // Every position is a multiple of 8, so that a stride word always fits before the end.
            (memory + (position & (capacity - 1))).storeBytes(of: UInt32.max, as: UInt32.self)
            position &+= untilEnd
        }
        let place = memory + (position & (capacity - 1))
        place.storeBytes(of: UInt32(stride), as: UInt32.self)
        var record = record
        record.capturedByteCount = UInt32(captured)
        record.originalByteCount = UInt32(original)
        (place + CaptureRing.strideSize).bindMemory(to: FrameRecord.self, capacity: 1)
            .initialize(to: record)
        written.pointee = position &+ stride
        return place + CaptureRing.strideSize
    }

    /// Producer: shows the consumer everything that was appended.
    func publish() { tail.store(written.pointee, ordering: .releasing) }

    /// Consumer: the time of the oldest record; nil when the ring is empty.
    package var nextTime: UInt64? {
        var position = head.load(ordering: .relaxed)
        guard position != tail.load(ordering: .acquiring) else { return nil }
        if (memory + (position & (capacity - 1))).load(as: UInt32.self) == .max {
            position &+= capacity - (position & (capacity - 1))
        }
        return (memory + (position & (capacity - 1)) + CaptureRing.strideSize)
            .load(as: FrameRecord.self).time
    }

    /// Consumer: calls `body` with the oldest record and its bytes and frees it; false when the ring
    /// is empty.
    package func consume(_ body: (FrameRecord, UnsafeRawBufferPointer) -> Void) -> Bool {
        var position = head.load(ordering: .relaxed)
        guard position != tail.load(ordering: .acquiring) else { return false }
        if (memory + (position & (capacity - 1))).load(as: UInt32.self) == .max {
            position &+= capacity - (position & (capacity - 1))
        }
        let place = memory + (position & (capacity - 1))
        let stride = Int(place.load(as: UInt32.self))
        let record = (place + CaptureRing.strideSize).load(as: FrameRecord.self)
        body(
            record,
            UnsafeRawBufferPointer(
                start: place + CaptureRing.strideSize + CaptureRing.recordSize,
                count: Int(record.capturedByteCount)))
        head.store(position &+ stride, ordering: .releasing)
        return true
    }
}
