import CPrefetch
import Dataplane

/// From the switch's entries to the drivers' receive queues: one copy each.
///
/// An entry's pieces are copied straight into the guest's buffers, though some of them may lie in
/// another guest's memory. The buffers of a frame are found first and written then, so that a frame
/// that does not fit leaves the ring as it was. All that a call transmits is made visible to the
/// driver at once, when the call ends.
///
/// With mergeable buffers a frame takes as many as it needs, each filled to its end but the last, and
/// the first begins with a header that says how many (virtio 1.3 §5.1.6.3); without, it must fit into
/// one. A queue that has no buffers is full; a frame that never fits is rejected.
extension VirtQueueSet {
    mutating func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        guard let memory, transmitCount > 0 else {
            for place in 0..<entries.count { entries[place].outcome = .egressDown }
            return
        }
        if transmitCount == 1 {
            transmit(entries, by: transmitIndices[0], choice: nil, memory)
            return
        }
        var start = 0
        while start < entries.count {
            let count = min(entries.count - start, Burst.capacity)
            let part = UnsafeMutableBufferPointer(rebasing: entries[start..<start + count])
            let queueCount = transmitCount
            var chosen: UInt64 = 0
            for place in 0..<count {
                let choice = EntryFlow.hash(part[place]) % UInt32(queueCount)
                choices[place] = UInt8(truncatingIfNeeded: choice)
                chosen |= 1 << UInt64(choice)
            }
            for choice in 0..<queueCount where chosen & 1 << UInt64(choice) != 0 {
                guard choice < transmitCount else {
                    // A fault has stopped all queues.
                    for place in 0..<count where Int(choices[place]) >= choice {
                        part[place].outcome = .egressDown
                    }
                    return
                }
                transmit(
                    part, by: transmitIndices[choice],
                    choice: UInt8(truncatingIfNeeded: choice), memory)
            }
            start += count
        }
    }

    private mutating func transmit(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, by index: Int, choice: UInt8?,
        _ memory: Unmanaged<GuestMemory>
    ) {
        let queue = queues + index
        if queue.pointee.isPacked {
            var ring = queue.pointee.packed
            transmit(entries, &ring, index, choice, memory)
            queue.pointee.packed = ring
        } else {
            var ring = queue.pointee.split
            transmit(entries, &ring, index, choice, memory)
            queue.pointee.split = ring
        }
    }

    @inline(__always)
    private mutating func transmit<Ring: VirtRing>(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, _ ring: inout Ring, _ index: Int,
        _ choice: UInt8?, _ memory: Unmanaged<GuestMemory>
    ) {
        let queue = queues + index
        let header = queue.pointee.headerByteCount
        let isSimple = header == SlotSize.vnetHeader && log == nil
        let acceptsFlags = queue.pointee.features & VirtioFeature.guestChecksum != 0
        var loaded = 0
        var next = 0
        for place in 0..<entries.count {
            if let choice, choices[place] != choice { continue }
            let entry = entries.baseAddress.unsafelyUnwrapped + place
            entry.pointee.outcome = .none
            // Without the feature no flag may be set (§5.1.6.4.1).
            if !acceptsFlags { entry.pointee.head.storeBytes(of: 0, as: UInt8.self) }
            if next == loaded {
                next = 0
                loaded = ring.loadHeads(
                    into: window,
                    limit: min(
                        entries.count &- place, Burst.capacity,
                        ring.size &- queue.pointee.pendingCount))
                if loaded <= 0 {
                    if loaded < 0, let fault = ring.fault {
                        fail(index, fault)
                        refuse(entries, from: place, choice, .egressDown)
                        return
                    }
                    refuse(entries, from: place, choice, .egressFull)
                    return
                }
                prepare(loaded, isWritable: true, memory)
            }
            let head = window + next
            let byteCount =
                entry.pointee.headByteCount &+ entry.pointee.bodyByteCount
                &+ Int(entry.pointee.tailByteCount)
            if isSimple, let bytes = head.pointee.bytes, byteCount <= Int(head.pointee.byteCount) {
                VirtQueueSet.copy(entry, to: bytes)
                next &+= 1
                ring.take(head)
                queue.pointee.finish(
                    head, entry: ring.noteInflight(head), byteCount: byteCount)
                continue
            }
            // What was loaded ahead is loaded anew: it is not known how much of it this takes.
            loaded = 0
            next = 0
            entry.pointee.outcome = scatter(entry, &ring, index, memory)
            if fault != nil {
                refuse(entries, from: place, choice, .egressDown)
                return
            }
        }
        if let fault = ring.fault { fail(index, fault) }
    }

    /// Copies a whole entry, vnet header included, to memory that holds it.
    @inline(__always)
    private static func copy(
        _ entry: UnsafeMutablePointer<TransmitEntry>, to bytes: UnsafeMutableRawPointer
    ) {
        let headByteCount = entry.pointee.headByteCount
        bytes.copyMemory(from: entry.pointee.head, byteCount: headByteCount)
        guard entry.pointee.bodyByteCount | Int(entry.pointee.tailCount) != 0 else { return }
        var to = bytes + headByteCount
        if entry.pointee.bodyByteCount > 0 {
            to.copyMemory(from: entry.pointee.body, byteCount: entry.pointee.bodyByteCount)
            to += entry.pointee.bodyByteCount
        }
        guard let tail = entry.pointee.tail else { return }
        for place in 0..<Int(entry.pointee.tailCount) {
            to.copyMemory(from: tail[place].bytes, byteCount: tail[place].byteCount)
            to += tail[place].byteCount
        }
    }

    private func refuse(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, from start: Int, _ choice: UInt8?,
        _ reason: DropReason
    ) {
        for place in start..<entries.count {
            if let choice, choices[place] != choice { continue }
            entries[place].outcome = reason
        }
    }

    /// Transmits an entry into buffers of any shape: finds them, then writes.
    @inline(never)
    private mutating func scatter<Ring: VirtRing>(
        _ entry: UnsafeMutablePointer<TransmitEntry>, _ ring: inout Ring, _ index: Int,
        _ memory: Unmanaged<GuestMemory>
    ) -> DropReason {
        let queue = queues + index
        let header = queue.pointee.headerByteCount
        let byteCount = entry.pointee.frameByteCount + header
        let start = ring.position
        var takenCount = 0
        chain.clear()
        while chain.byteCount < byteCount {
            guard takenCount == 0 || queue.pointee.isMergeable else {
                ring.position = start
                return .egressRejected
            }
            guard !chain.isCut, takenCount < DescriptorChain.pieceCapacity else {
                ring.position = start
                return .egressRejected
            }
            let head = taken + takenCount
            let count =
                queue.pointee.pendingCount + takenCount < ring.size
                ? ring.loadHeads(into: head, limit: 1) : 0
            guard count > 0 else {
                if count < 0, let fault = ring.fault { fail(index, fault) }
                ring.position = start
                return .egressFull
            }
            let before = chain.byteCount
            if let fault = append(head, of: ring, index, memory, .writable) {
                ring.position = start
                fail(index, fault)
                return .egressDown
            }
            takenByteCounts[takenCount] = chain.byteCount - before
            guard takenByteCounts[takenCount] >= (takenCount == 0 ? header : 1) else {
                ring.position = start
                fail(index, .receiveBufferTooSmall(takenByteCounts[takenCount]))
                return .egressDown
            }
            ring.take(head)
            takenCount += 1
        }
        guard !chain.isCut else {
            ring.position = start
            return .egressRejected
        }
        // The field behind the first ten bytes; there is none in the shorter header.
        entry.pointee.head.storeBytes(
            of: UInt16(truncatingIfNeeded: takenCount).littleEndian, toByteOffset: 10,
            as: UInt16.self)
        write(entry, header: header)
        var remaining = byteCount
        for place in 0..<takenCount {
            let written = min(remaining, takenByteCounts[place])
            remaining -= written
            queue.pointee.finish(
                taken + place, entry: ring.noteInflight(taken + place), byteCount: written)
        }
        return .none
    }

    /// Writes header and frame to the pieces of ``chain``, and marks what it wrote if that is logged.
    private func write(_ entry: UnsafeMutablePointer<TransmitEntry>, header: Int) {
        var writer = PieceWriter(chain.pieces, count: chain.pieceCount)
        writer.write(entry.pointee.head, header)
        writer.write(
            entry.pointee.head + SlotSize.vnetHeader,
            entry.pointee.headByteCount - SlotSize.vnetHeader)
        writer.write(entry.pointee.body, entry.pointee.bodyByteCount)
        if let tail = entry.pointee.tail {
            for place in 0..<Int(entry.pointee.tailCount) {
                writer.write(tail[place].bytes, tail[place].byteCount)
            }
        }
        guard let log = log?.takeUnretainedValue() else { return }
        var remaining = entry.pointee.frameByteCount + header
        for place in 0..<chain.pieceCount where remaining > 0 {
            let written = min(remaining, chain.pieces[place].byteCount)
            log.mark(guestAddress: chain.pieces[place].guestAddress, byteCount: written)
            remaining -= written
        }
    }
}

/// Copies bytes to pieces, one after the other.
private struct PieceWriter {
    private let pieces: UnsafeMutablePointer<DescriptorChain.Piece>
    private let count: Int
    private var place = 0
    private var offset = 0

    init(_ pieces: UnsafeMutablePointer<DescriptorChain.Piece>, count: Int) {
        self.pieces = pieces
        self.count = count
    }

    mutating func write(_ bytes: UnsafeRawPointer, _ byteCount: Int) {
        var copied = 0
        while copied < byteCount, place < count {
            let part = min(pieces[place].byteCount - offset, byteCount - copied)
            (pieces[place].bytes + offset).copyMemory(from: bytes + copied, byteCount: part)
            copied += part
            offset += part
            if offset == pieces[place].byteCount {
                place += 1
                offset = 0
            }
        }
    }
}
