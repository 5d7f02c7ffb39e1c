import Dataplane
import Wire

/// From the drivers' transmit queues to a burst of frames.
///
/// A frame's vnet header and its first bytes are copied into its slot, once, and looked at there
/// only. A short frame is all there then. What follows of a longer one stays in the guest's memory as
/// segments, and the chain is the guest's again when the burst is released: after its last transmit.
/// All chains of a burst are returned at once.
///
/// A chain that is legal and no frame is consumed nevertheless and counted: one without a whole
/// header as a runt, one beyond every frame's size as an oversized frame. What breaks the ring's
/// rules ends all queues of the device.
extension VirtQueueSet {
    mutating func receive(into burst: inout Burst) -> ReceiveOutcome {
        if announcementCount > 0 { announce(into: &burst) }
        if hasControl { serveControl() }
        guard let memory else { return .drained }
        var isDrained = true
        // Each queue in turn comes first, so that none that is always full shuts out the others.
        let first = turn
        if receiveCount > 1 { turn = VirtQueueSet.wrap(turn + 1, receiveCount) }
        for place in 0..<receiveCount {
            let index = receiveIndices[VirtQueueSet.wrap(first + place, receiveCount)]
            let queue = queues + index
            if queue.pointee.isPacked {
                var ring = queue.pointee.packed
                isDrained = receive(&ring, index, memory, into: &burst) && isDrained
                queue.pointee.packed = ring
            } else {
                var ring = queue.pointee.split
                isDrained = receive(&ring, index, memory, into: &burst) && isDrained
                queue.pointee.split = ring
            }
            if fault != nil { return .drained }
        }
        return isDrained ? .drained : .more
    }

    /// Receives from one queue; true when nothing is left in it.
    @inline(__always)
    private mutating func receive<Ring: VirtRing>(
        _ ring: inout Ring, _ index: Int, _ memory: Unmanaged<GuestMemory>,
        into burst: inout Burst
    ) -> Bool {
        let queue = queues + index
        guard isInUse(index) else {
            discard(&ring, index, memory)
            return true
        }
        let slots = burst.emptySlots
        let segments = burst.nextSegments
        let header = queue.pointee.headerByteCount
        // Constants of another module are function calls.
        let headroom = SlotSize.headroom
        let maximumFrame = SlotSize.maximumFrame
        let borrowedHead = SlotSize.borrowedHead
        var segmentCount = 0
        var frameCount = 0
        var isDrained = false
        while frameCount < slots.count {
            // What is pending fills the ring at most.
            let count = ring.loadHeads(
                into: window,
                limit: min(slots.count &- frameCount, ring.size &- queue.pointee.pendingCount))
            guard count > 0 else {
                if count < 0, let fault = ring.fault { fail(index, fault) }
                isDrained = true
                break
            }
            prepare(count, isWritable: false, memory)
            for place in 0..<count {
                let head = window + place
                let frame = slots[frameCount] + headroom
                let room = UnsafeMutableBufferPointer(rebasing: segments[segmentCount...])
                let byteCount = Int(head.pointee.byteCount) &- header
                if let bytes = head.pointee.bytes, byteCount >= 14,
                    byteCount <= maximumFrame
                {
                    let headByteCount: Int
                    if byteCount <= borrowedHead || room.isEmpty {
                        headByteCount = byteCount
                    } else {
                        headByteCount = borrowedHead
                        room[0].bytes = UnsafeRawPointer(bytes + (header &+ headByteCount))
                        room[0].byteCount = byteCount &- headByteCount
                    }
                    (frame - header).copyMemory(from: bytes, byteCount: header &+ headByteCount)
                    let count = headByteCount == byteCount ? 0 : 1
                    received[frameCount].byteCount = byteCount
                    received[frameCount].headByteCount = headByteCount
                    received[frameCount].segmentCount = count
                    segmentCount &+= count
                } else {
                    chain.clear()
                    if let fault = append(head, of: ring, index, memory, .readable) {
                        fail(index, fault)
                        isDrained = true
                        break
                    }
                    received[frameCount] = gather(into: frame, header: header, segments: room)
                    segmentCount &+= received[frameCount].segmentCount
                }
                frameCount &+= 1
                ring.take(head)
                queue.pointee.finish(head, entry: ring.noteInflight(head), byteCount: 0)
            }
            if fault != nil { break }
        }
        burst.append(
            UnsafeBufferPointer(start: received, count: frameCount), headerByteCount: header)
        if let fault = ring.fault { fail(index, fault) }
        return isDrained
    }

    /// Adds a chain's pieces to ``chain``. One that comes from the region of buffers in flight must take
    /// up as much of a packed ring as it did when that was started.
    @inline(never)
    mutating func append<Ring: VirtRing>(
        _ head: UnsafeMutablePointer<ChainHead>, of ring: Ring, _ index: Int,
        _ memory: Unmanaged<GuestMemory>, _ direction: DescriptorChain.Direction
    ) -> VirtQueueFault? {
        let slots = head.pointee.slots
        let fault = memory._withUnsafeGuaranteedRef {
            chain.append(
                &head.pointee, of: ring, in: $0, direction,
                allowingTables: queues[index].allowsTables)
        }
        if Ring.isPacked, head.pointee.isResubmitted, head.pointee.slots != slots {
            return .inflightRegion
        }
        return fault
    }

    /// Makes a frame of ``chain``'s pieces: copies its first bytes, lists the others.
    @inline(never)
    private func gather(
        into frame: UnsafeMutableRawPointer, header: Int,
        segments: UnsafeMutableBufferPointer<FrameSegment>
    ) -> ReceivedFrame {
        var byteCount = chain.byteCount - header
        guard byteCount >= 14, !chain.isCut else {
            // What is no frame has no offload: the slot has that of an earlier one.
            (frame - header).initializeMemory(as: UInt8.self, repeating: 0, count: header)
            return ReceivedFrame(byteCount: 0, headByteCount: 0, segmentCount: 0)
        }
        let isOversized = byteCount > SlotSize.maximumFrame
        byteCount = min(byteCount, SlotSize.maximumFrame)
        var headByteCount = min(byteCount, SlotSize.borrowedHead)
        // As many pieces as there are at most, though the first may be used up by the head.
        if chain.pieceCount > segments.count { headByteCount = byteCount }
        var to = frame - header
        var missing = header + headByteCount
        var segmentCount = 0
        var tail = byteCount - headByteCount
        for place in 0..<chain.pieceCount {
            let piece = chain.pieces[place]
            let copied = min(missing, piece.byteCount)
            if copied > 0 {
                to.copyMemory(from: piece.bytes, byteCount: copied)
                to += copied
                missing -= copied
            }
            let rest = min(piece.byteCount - copied, tail)
            if rest > 0 {
                segments[segmentCount] = FrameSegment(
                    bytes: piece.bytes + copied, byteCount: rest)
                segmentCount += 1
                tail -= rest
            }
        }
        // Larger than any MTU as it stands; as a super-frame it might pass.
        if isOversized {
            (frame - header).initializeMemory(as: UInt8.self, repeating: 0, count: header)
        }
        return ReceivedFrame(
            byteCount: byteCount, headByteCount: headByteCount, segmentCount: segmentCount)
    }

    /// Takes everything from a queue that is started and not enabled, and returns it.
    @inline(never)
    private mutating func discard<Ring: VirtRing>(
        _ ring: inout Ring, _ index: Int, _ memory: Unmanaged<GuestMemory>
    ) {
        let queue = queues + index
        while queue.pointee.pendingCount < ring.size {
            let count = ring.loadHeads(
                into: window, limit: min(Burst.capacity, ring.size - queue.pointee.pendingCount))
            if count < 0, let fault = ring.fault { fail(index, fault) }
            guard count > 0 else { return }
            for place in 0..<count {
                chain.clear()
                if let fault = append(window + place, of: ring, index, memory, .readable) {
                    return fail(index, fault)
                }
                let head = window + place
                ring.take(head)
                queue.pointee.finish(head, entry: ring.noteInflight(head), byteCount: 0)
            }
        }
    }

    /// Receives the announcements that wait, as far as there is room.
    @inline(never)
    private mutating func announce(into burst: inout Burst) {
        while announcementCount > 0, !burst.isFull {
            announcementCount -= 1
            let address = MACAddress(rawValue: announcements[announcementCount])
            let frame = burst.nextBytes
            RARPAnnouncement.write(address, to: frame)
            burst.append(byteCount: RARPAnnouncement.byteCount, offload: .none)
        }
    }
}
