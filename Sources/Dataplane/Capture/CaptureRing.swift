import Synchronization

/// A bounded queue of captured frames between one worker and one capture thread.
///
/// Records of different length lie one after the other in a ring of bytes; one that would cross the
/// end begins at the start again. The worker never waits: a record that finds no room is counted in
/// ``dropped(port:)``. As in ``SPSCRing`` the producer alone writes `tail`, the consumer alone `head`.
package final class CaptureRing: @unchecked Sendable {
    // @unchecked: constant pointers; bytes between head and tail belong to the consumer.

    /// What precedes a record's bytes.
    package struct Record {
        /// Bytes to the next record, this header included; a multiple of 8.
        var stride: UInt32
        package var capturedByteCount: UInt32
        package var originalByteCount: UInt32
        package var port: UInt16
        package var isEgress: Bool
        package var reason: DropReason
        /// Monotonic clock, nanoseconds.
        package var time: UInt64
    }

    private let capacity: Int
    private let memory: UnsafeMutableRawPointer
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)
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
        let counters = UnsafeMutablePointer<UInt64>.allocate(capacity: portCapacity)
        counters.initialize(repeating: 0, count: portCapacity)
        lost = UnsafeMutableRawPointer(counters).bindMemory(
            to: Atomic<UInt64>.self, capacity: portCapacity)
    }

    deinit {
        memory.deallocate()
        lost.deallocate()
    }

    /// Records of a port that found no room.
    package func dropped(port: UInt16) -> UInt64 { lost[Int(port)].load(ordering: .relaxed) }

    /// Producer: adds a frame given in two pieces, of which at most `snapLength` bytes are kept.
    func append(
        port: UInt16, isEgress: Bool, reason: DropReason, time: UInt64, snapLength: Int,
        head first: UnsafeRawBufferPointer, body second: UnsafeRawBufferPointer
    ) {
        let headerSize = MemoryLayout<Record>.size
        let original = first.count + second.count
        let captured = min(original, snapLength)
        let stride = (headerSize + captured + 7) & ~7
        var position = tail.load(ordering: .relaxed)
        let used = position &- head.load(ordering: .acquiring)
        let untilEnd = capacity - (position & (capacity - 1))
        let needed = stride <= untilEnd ? stride : untilEnd + stride
        guard used + needed <= capacity else {
            let count = lost[Int(port)].load(ordering: .relaxed)
            lost[Int(port)].store(count &+ 1, ordering: .relaxed)
            return
        }
        if stride > untilEnd {
            // Every position is a multiple of 8, so that a stride word always fits before the end.
            (memory + (position & (capacity - 1))).storeBytes(of: UInt32.max, as: UInt32.self)
            position &+= untilEnd
        }
        let place = memory + (position & (capacity - 1))
        place.storeBytes(
            of: Record(
                stride: UInt32(stride), capturedByteCount: UInt32(captured),
                originalByteCount: UInt32(original), port: port, isEgress: isEgress,
                reason: reason, time: time), as: Record.self)
        let bytes = place + headerSize
        let firstCount = min(first.count, captured)
        if firstCount > 0, let base = first.baseAddress {
            bytes.copyMemory(from: base, byteCount: firstCount)
        }
        if captured > firstCount, let base = second.baseAddress {
            (bytes + firstCount).copyMemory(from: base, byteCount: captured - firstCount)
        }
        tail.store(position &+ stride, ordering: .releasing)
    }

    /// Consumer: calls `body` with the oldest record and its bytes and frees it; false when the ring
    /// is empty.
    package func consume(_ body: (Record, UnsafeRawBufferPointer) -> Void) -> Bool {
        var position = head.load(ordering: .relaxed)
        guard position != tail.load(ordering: .acquiring) else { return false }
        if (memory + (position & (capacity - 1))).load(as: UInt32.self) == .max {
            position &+= capacity - (position & (capacity - 1))
        }
        let place = memory + (position & (capacity - 1))
        let record = place.load(as: Record.self)
        body(
            record,
            UnsafeRawBufferPointer(
                start: place + MemoryLayout<Record>.size, count: Int(record.capturedByteCount)))
        head.store(position &+ Int(record.stride), ordering: .releasing)
        return true
    }
}
