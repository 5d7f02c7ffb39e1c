/// Up to 64 received frames that are switched together.
///
/// A port fills it by ``append(byteCount:offload:)`` after writing into ``nextBytes``; the worker
/// empties it. The burst owns a slot for each place it can still fill.
package struct Burst: ~Copyable {
    /// Frames in a burst at most.
    package static let capacity = 64

    package private(set) var count = 0
    /// Places that have a slot: frames that can be received now.
    package private(set) var limit = 0
    let frames: UnsafeMutablePointer<Frame>
    let slots: UnsafeMutablePointer<UnsafeMutableRawPointer>
    /// Whether a place has lost its slot since the last ``clear()``.
    private var isDetached = false
    /// Pieces of borrowed frames, those of one frame together.
    private let segments: UnsafeMutablePointer<FrameSegment>
    private var segmentCount = 0
    /// Pieces that all borrowed frames of a burst have at most: 32 for each frame.
    package static let segmentCapacity = 2048

    package init() {
        frames = .allocate(capacity: Burst.capacity)
        slots = .allocate(capacity: Burst.capacity)
        segments = .allocate(capacity: Burst.segmentCapacity)
        segments.initialize(
            repeating: FrameSegment(bytes: UnsafeRawPointer(slots), byteCount: 0),
            count: Burst.segmentCapacity)
    }

    deinit {
        frames.deallocate()
        slots.deallocate()
        segments.deallocate()
    }

    package var isFull: Bool { count >= limit }

    /// Where the next frame's first byte goes; ``SlotSize/headroom`` bytes before it and
    /// ``SlotSize/maximumFrame`` bytes from it on may be written.
    ///
    /// - Precondition: the burst is not full.
    package var nextBytes: UnsafeMutableRawPointer {
        precondition(count < limit)
        return slots[count] + SlotSize.headroom
    }

    /// Adds the frame that was written at ``nextBytes``.
    ///
    /// - Parameter domain: what a tunnel's VNI named; 0 for a frame of a port.
    package mutating func append(byteCount: Int, offload: Offload, domain: UInt16 = 0) {
        precondition(count < limit && byteCount <= SlotSize.maximumFrame)
        (frames + count).initialize(
            to: Frame(
                bytes: slots[count] + SlotSize.headroom, byteCount: byteCount, offload: offload))
        frames[count].domain = domain
        count &+= 1
    }

    /// Room for the pieces of the next borrowed frame. A frame of more pieces is copied whole.
    package var nextSegments: UnsafeMutableBufferPointer<FrameSegment> {
        UnsafeMutableBufferPointer(
            start: segments + segmentCount, count: Burst.segmentCapacity - segmentCount)
    }

    /// Adds a frame whose first bytes were written at ``nextBytes`` and whose other pieces were put
    /// into the first of ``nextSegments``. They are read until the burst is released.
    ///
    /// - Parameters:
    ///   - headByteCount: bytes at ``nextBytes``: at least those of the Ethernet header and of two
    ///     tags, and of every header that is to be understood.
    ///   - byteCount: the frame's length, all pieces included.
    @inline(__always)
    package mutating func append(
        headByteCount: Int, segmentCount count: Int, byteCount: Int, offload: Offload
    ) {
        precondition(
            headByteCount <= byteCount && count <= Burst.segmentCapacity - segmentCount)
        append(byteCount: byteCount, offload: offload)
        guard count > 0 else { return }
        let frame = frames + (self.count - 1)
        frame.pointee.tail = UnsafePointer(segments + segmentCount)
        frame.pointee.tailCount = UInt16(truncatingIfNeeded: count)
        frame.pointee.tailByteCount = UInt32(truncatingIfNeeded: byteCount - headByteCount)
        segmentCount &+= count
    }

    /// The slots of the places that can still be filled, in order, for a port that fills several at
    /// once: the frame of each goes ``SlotSize/headroom`` bytes behind the slot's start.
    package var emptySlots: UnsafeBufferPointer<UnsafeMutableRawPointer> {
        UnsafeBufferPointer(start: slots + count, count: limit - count)
    }

    /// Adds frames that were written into the first of ``emptySlots``, each of the given length and
    /// with its vnet header right before it: one call for all that a port has received.
    package mutating func append(vnetFrames byteCounts: UnsafeBufferPointer<UInt32>) {
        precondition(byteCounts.count <= limit - count)
        for byteCount in byteCounts {
            precondition(byteCount <= SlotSize.maximumFrame)
            let bytes = slots[count] + SlotSize.headroom
            (frames + count).initialize(
                to: Frame(
                    bytes: bytes, byteCount: Int(byteCount),
                    offload: Offload(wire: bytes - SlotSize.vnetHeader)))
            count &+= 1
        }
    }

    /// Adds frames, borrowed or not, that were written into the first of ``emptySlots``, with their
    /// pieces one after the other in ``nextSegments``: one call for all that a port has received.
    ///
    /// - Parameter headerByteCount: how long the vnet header before each is. What it says of the
    ///   checksum's validity is a peer's word, and not taken.
    package mutating func append(
        _ received: UnsafeBufferPointer<ReceivedFrame>, headerByteCount: Int
    ) {
        precondition(received.count <= limit - count)
        for frame in received {
            precondition(
                frame.byteCount <= SlotSize.maximumFrame && frame.headByteCount >= 0
                    && frame.headByteCount <= frame.byteCount && frame.segmentCount >= 0
                    && frame.segmentCount <= Burst.segmentCapacity - segmentCount)
            let bytes = slots[count] + SlotSize.headroom
            var offload = Offload(wire: bytes - headerByteCount)
            offload.flags &= Offload.needsChecksum
            let place = frames + count
            place.initialize(to: Frame(bytes: bytes, byteCount: frame.byteCount, offload: offload))
            if frame.segmentCount > 0 {
                place.pointee.tail = UnsafePointer(segments + segmentCount)
                place.pointee.tailCount = UInt16(truncatingIfNeeded: frame.segmentCount)
                place.pointee.tailByteCount = UInt32(
                    truncatingIfNeeded: frame.byteCount - frame.headByteCount)
                segmentCount &+= frame.segmentCount
            }
            count &+= 1
        }
    }

    /// Gets slots for every place from the pool, as far as it has them.
    mutating func refill(from pool: inout FramePool) {
        while limit < Burst.capacity, let slot = pool.take() {
            slots[limit] = slot
            limit &+= 1
        }
    }

    /// Gives up the slot of frame `index`, which another worker now owns.
    mutating func detachSlot(_ index: Int) -> UnsafeMutableRawPointer {
        let slot = slots[index]
        // The last place's slot fills the hole when the burst is cleared: mark it by self-reference.
        slots[index] = UnsafeMutableRawPointer(slots)
        isDetached = true
        return slot
    }

    /// Forgets the frames; detached places lose their slot.
    mutating func clear() {
        count = 0
        segmentCount = 0
        guard isDetached else { return }
        isDetached = false
        let marker = UnsafeMutableRawPointer(slots)
        var kept = 0
        for index in 0..<limit where slots[index] != marker {
            slots[kept] = slots[index]
            kept &+= 1
        }
        limit = kept
    }

    /// Returns every slot to the pool.
    mutating func drain(into pool: inout FramePool) {
        clear()
        while limit > 0 {
            limit &-= 1
            pool.put(slots[limit])
        }
    }
}
