import Synchronization

/// A bounded queue between exactly one producer thread and one consumer thread.
///
/// Neither side waits or locks: a full ring refuses, an empty one returns nil. `head` is written by
/// the consumer, `tail` by the producer, each on a cache line of its own; an element is published by
/// the release store of `tail` and freed by the release store of `head`.
package final class SPSCRing<Element: BitwiseCopyable>: @unchecked Sendable {
    // @unchecked: the pointers are constant, and the elements between head and tail belong to
    // the consumer, the others to the producer, as the two atomics say.
    package let capacity: Int
    private let mask: Int
    private let elements: UnsafeMutablePointer<Element>
    private let indices: UnsafeMutableRawPointer
    private var head: UnsafeMutablePointer<Atomic<Int>> {
        indices.assumingMemoryBound(to: Atomic<Int>.self)
    }
    private var tail: UnsafeMutablePointer<Atomic<Int>> {
        (indices + 128).assumingMemoryBound(to: Atomic<Int>.self)
    }

    /// - Precondition: `capacity` is a power of two.
    package init(capacity: Int) {
        precondition(capacity > 0 && capacity & (capacity - 1) == 0)
        self.capacity = capacity
        mask = capacity - 1
        elements = .allocate(capacity: capacity)
        indices = .allocate(byteCount: 256, alignment: 128)
        indices.bindMemory(to: Atomic<Int>.self, capacity: 1).initialize(to: Atomic(0))
        (indices + 128).bindMemory(to: Atomic<Int>.self, capacity: 1).initialize(to: Atomic(0))
    }

    deinit {
        elements.deallocate()
        indices.deallocate()
    }

    /// Producer: adds an element; false when the ring is full.
    package func push(_ element: Element) -> Bool {
        let position = tail.pointee.load(ordering: .relaxed)
        guard position &- head.pointee.load(ordering: .acquiring) < capacity else { return false }
        (elements + (position & mask)).initialize(to: element)
        tail.pointee.store(position &+ 1, ordering: .releasing)
        return true
    }

    /// Consumer: takes the oldest element; nil when the ring is empty.
    package func pop() -> Element? {
        let position = head.pointee.load(ordering: .relaxed)
        guard position != tail.pointee.load(ordering: .acquiring) else { return nil }
        let element = elements[position & mask]
        head.pointee.store(position &+ 1, ordering: .releasing)
        return element
    }

    /// Whether nothing is queued now, seen from either side.
    package var isEmpty: Bool {
        head.pointee.load(ordering: .acquiring) == tail.pointee.load(ordering: .acquiring)
    }

    /// Elements queued now.
    package var count: Int {
        tail.pointee.load(ordering: .acquiring) &- head.pointee.load(ordering: .acquiring)
    }
}
