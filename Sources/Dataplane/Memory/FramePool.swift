/// A worker's frame slots: a fixed number, allocated once, handed out and taken back by its owner.
///
/// A slot leaves the pool into a burst, and comes back after the burst's last transmit, or by the
/// return ring after another worker transmitted it. When the pool is empty a burst is shorter:
/// back-pressure, not loss. Owner: one worker; cost: a push or pop of a pointer.
package struct FramePool: ~Copyable {
    package let capacity: Int
    private let memory: UnsafeMutableRawPointer
    private let free: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private var freeCount: Int

    package init(capacity: Int) {
        self.capacity = capacity
        memory = .allocate(byteCount: capacity * SlotSize.stride, alignment: 4096)
        free = .allocate(capacity: capacity)
        for index in 0..<capacity {
            (free + index).initialize(
                to: memory + (capacity - 1 - index) * SlotSize.stride)
        }
        freeCount = capacity
    }

    deinit {
        precondition(freeCount <= capacity, "a frame slot was returned twice")
        free.deallocate()
        memory.deallocate()
    }

    package var available: Int { freeCount }

    /// Takes a slot out of the pool; nil when none is left.
    @inline(__always)
    mutating func take() -> UnsafeMutableRawPointer? {
        guard freeCount > 0 else { return nil }
        freeCount &-= 1
        return free[freeCount]
    }

    /// Puts a slot back.
    @inline(__always)
    mutating func put(_ slot: UnsafeMutableRawPointer) {
        precondition(freeCount < capacity, "a frame slot was returned twice")
        free[freeCount] = slot
        freeCount &+= 1
    }
}
