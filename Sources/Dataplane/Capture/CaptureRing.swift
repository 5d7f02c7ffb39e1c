import Synchronization

/// A bounded queue of frames between one worker and one thread that looks at them.
///
/// Records of different length lie one after the other in a ring of bytes; one that would cross the
/// end begins at the start again. The worker never waits: a record that finds no room is counted in
/// ``dropped(port:)``. As in ``SPSCRing`` the producer alone writes `tail`, the consumer alone `head`.
///
/// What a worker has appended it may still complete, a verdict say, until it publishes.
package final class CaptureRing: @unchecked Sendable {
    // @unchecked: constant pointers; bytes between head and tail belong to the consumer, all others
    // and `written` to the producer.

    /// What precedes a record's bytes in the ring.
    private struct Header {
        /// Bytes to the next record, this header included; a multiple of 8.
        var stride: UInt32
        var record: FrameRecord
    }

    private let capacity: Int
    private let memory: UnsafeMutableRawPointer
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)
    /// Up to where the producer has written.
    private let written: UnsafeMutablePointer<Int>
    private let portCapacity: Int
    private let lost: UnsafeMutablePointer<Atomic<UInt64>>

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
        let counters = UnsafeMutablePointer<UInt64>.allocate(capacity: portCapacity)
        counters.initialize(repeating: 0, count: portCapacity)
        lost = UnsafeMutableRawPointer(counters).bindMemory(
            to: Atomic<UInt64>.self, capacity: portCapacity)
    }

    deinit {
        memory.deallocate()
        written.deallocate()
        lost.deallocate()
    }

    /// Records of a port that found no room.
    package func dropped(port: UInt16) -> UInt64 { lost[Int(port)].load(ordering: .relaxed) }

    /// Producer: adds a frame given in two pieces, of which at most `snapLength` bytes are kept. The
    /// consumer sees it after ``publish()``; until then its record may be changed where it lies. Nil
    /// when there was no room.
    @discardableResult
    func append(
        _ record: FrameRecord, snapLength: Int, head first: UnsafeRawBufferPointer,
        body second: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) -> UnsafeMutablePointer<FrameRecord>? {
        let headerSize = MemoryLayout<Header>.size
        let original = first.count + second.count
        let captured = min(original, snapLength)
        let stride = (headerSize + captured + 7) & ~7
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
        let place = (memory + (position & (capacity - 1)))
        let header = place.bindMemory(to: Header.self, capacity: 1)
        header.initialize(to: Header(stride: UInt32(stride), record: record))
        header.pointee.record.capturedByteCount = UInt32(captured)
        header.pointee.record.originalByteCount = UInt32(original)
        let bytes = place + headerSize
        let firstCount = min(first.count, captured)
        if firstCount > 0, let base = first.baseAddress {
            bytes.copyMemory(from: base, byteCount: firstCount)
        }
        if captured > firstCount, let base = second.baseAddress {
            (bytes + firstCount).copyMemory(from: base, byteCount: captured - firstCount)
        }
        written.pointee = position &+ stride
        return UnsafeMutableRawPointer(header).advanced(
            by: MemoryLayout<Header>.offset(of: \.record) ?? 0
        ).assumingMemoryBound(to: FrameRecord.self)
    }

    /// Producer: shows the consumer everything that was appended.
    func publish() { tail.store(written.pointee, ordering: .releasing) }

    /// Consumer: calls `body` with the oldest record and its bytes and frees it; false when the ring
    /// is empty.
    package func consume(_ body: (FrameRecord, UnsafeRawBufferPointer) -> Void) -> Bool {
        var position = head.load(ordering: .relaxed)
        guard position != tail.load(ordering: .acquiring) else { return false }
        if (memory + (position & (capacity - 1))).load(as: UInt32.self) == .max {
            position &+= capacity - (position & (capacity - 1))
        }
        let place = memory + (position & (capacity - 1))
        let header = place.load(as: Header.self)
        body(
            header.record,
            UnsafeRawBufferPointer(
                start: place + MemoryLayout<Header>.size,
                count: Int(header.record.capturedByteCount)))
        head.store(position &+ Int(header.stride), ordering: .releasing)
        return true
    }
}
