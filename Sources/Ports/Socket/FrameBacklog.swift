import Dataplane

/// Frames that a socket would not take yet, in order: a bounded queue of copies.
///
/// A receiver's queue holds as few as ten datagrams (net.unix.max_dgram_qlen), of which a super-frame
/// that was cut for it fills several. What does not fit waits here until the socket is writable.
///
/// One thread. Frames lie one after the other, each behind its length; when the end is reached what
/// still waits moves to the start.
struct FrameBacklog: ~Copyable {
    private let capacity: Int
    private let memory: UnsafeMutableRawPointer
    private var start = 0
    private var end = 0

    private static let lengthByteCount = MemoryLayout<Int>.size

    init(capacity: Int) {
        self.capacity = capacity
        memory = .allocate(byteCount: capacity, alignment: 64)
    }

    deinit { memory.deallocate() }

    var isEmpty: Bool { start == end }

    /// Copies a frame to the end; false when there is no room for it.
    mutating func append(_ entry: TransmitEntry) -> Bool {
        let byteCount = entry.frameByteCount
        let needed = Self.lengthByteCount + (byteCount + 7) & ~7
        if needed > capacity - end, start > 0 {
            memory.copyMemory(from: memory + start, byteCount: end - start)
            end -= start
            start = 0
        }
        guard needed <= capacity - end else { return false }
        (memory + end).storeBytes(of: byteCount, as: Int.self)
        _ = entry.copyFrame(to: memory + end + Self.lengthByteCount, capacity: byteCount)
        end += needed
        return true
    }

    /// The frame at `position`, and the position of the one behind it; the first is at ``first``.
    func frame(at position: Int) -> (bytes: UnsafeMutableRawBufferPointer, next: Int)? {
        guard position < end else { return nil }
        let byteCount = (memory + position).load(as: Int.self)
        let bytes = UnsafeMutableRawBufferPointer(
            start: memory + position + Self.lengthByteCount, count: byteCount)
        return (bytes, position + Self.lengthByteCount + (byteCount + 7) & ~7)
    }

    var first: Int { start }

    mutating func removeFirst() {
        guard let first = frame(at: start) else { return }
        start = first.next
        if start == end { reset() }
    }

    mutating func reset() {
        start = 0
        end = 0
    }
}
