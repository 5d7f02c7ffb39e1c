import Wire

/// The head of a tagged copy, built beside the frame: vnet header, both addresses, the 802.1Q tag.
enum TagHead {
    /// Bytes: 12 of vnet header, 12 of addresses, 4 of tag, rounded up.
    static let stride = 32
    static let byteCount = SlotSize.vnetHeader + 12 + 4
}

/// What accounting needs to know of an entry after its transmission.
struct EntryInfo {
    var domain: UInt16
    var segmentCount: UInt16
    /// What the entry is a copy of, or a segment of.
    var frame: UnsafeMutablePointer<Frame>
}

/// From chains to transmit calls: tags, vnet headers, and what a port's peer cannot do itself.
///
/// A partial checksum that the port cannot take is completed in the frame's own bytes: right for
/// every other port as well. A super-frame that it cannot take is cut into segments in scratch
/// memory, in batches of a burst, each frame complete. Nothing else ever writes into a frame here.
extension Worker {
    /// Empties every chain: ports first, then tunnels.
    mutating func transmitAll() {
        var hasTunnels = false
        for position in 0..<activeCount {
            let port = activePorts[position]
            if snapshot.ports[Int(port)].flags.contains(.tunnel) {
                hasTunnels = true
                continue
            }
            let head = chains[Int(port)].head
            Worker.makeEmpty(chains + Int(port))
            transmit(chain: head, port: port)
        }
        if hasTunnels { transmitTunnels(activeCount) }
        activeCount = 0
        referenceCount = 0
        replyCount = 0
        answeredPlace = -1
    }

    private mutating func transmit(chain head: Int32, port: UInt16) {
        guard let attachment = snapshot.attachments[Int(port)] else {
            dropChain(head, port: port)
            return
        }
        let accepted = attachment.offloads
        let takesSegments = attachment.takesSegments
        var count = 0
        var next = head
        while next >= 0 {
            let reference = references[Int(next)]
            next = reference.next
            let frame = reference.frame
            var segmentCount: UInt16 = 1
            if frame.pointee.isBorrowed, !takesSegments { frame.pointee.gather() }
            if frame.pointee.offload.isPending {
                if frame.pointee.offload.isGSO, !accepted.accepts(frame.pointee.offload) {
                    send(count, to: attachment, port: port)
                    count = 0
                    segment(reference, to: attachment, port: port)
                    continue
                }
                if frame.pointee.offload.needsChecksum, !accepted.contains(.checksum) {
                    complete(frame, port: port)
                }
                segmentCount = frame.pointee.segmentCount
            }
            (entryInfo + count).initialize(
                to: EntryInfo(
                    domain: reference.domain, segmentCount: segmentCount, frame: frame))
            build(count, from: frame.pointee, vid: reference.vid)
            count += 1
            if count == Burst.capacity {
                send(count, to: attachment, port: port)
                count = 0
            }
        }
        send(count, to: attachment, port: port)
    }

    /// Fills entry `place` with a copy of `frame`, tagged with `vid` unless that is 0.
    @inline(__always)
    private mutating func build(_ place: Int, from frame: Frame, vid: UInt16) {
        let bytes = frame.bytes
        if vid == 0 {
            (entries + place).initialize(to: .writingHeader(of: frame))
            return
        }
        let head = tagHeads + place * TagHead.stride
        var offload = frame.offload
        offload.shift(by: 4)
        offload.store(to: head)
        let addresses = head + SlotSize.vnetHeader
        addresses.copyMemory(from: bytes, byteCount: 12)
        addresses.storeBigEndian(UInt16(0x8100), at: 12)
        // Priority and drop eligibility survive the change of tag (802.1Q-2022 §6.9.3).
        addresses.storeBigEndian(frame.tci & 0xF000 | vid, at: 14)
        (entries + place).initialize(
            to: TransmitEntry(
                head: head, headByteCount: TagHead.byteCount, body: bytes + 12,
                bodyByteCount: frame.buffer.count - 12, tail: frame.tail,
                tailByteCount: frame.tailByteCount, tailCount: frame.tailCount, outcome: .none))
    }

    /// Counts copies that were to leave by `port`.
    @inline(__always)
    func countCopies(_ count: UInt64, to port: UInt16, domain: UInt16) {
        counters.add(count, .copies, port: port)
        counters.add(count, .copies, domain: domain)
    }

    /// Counts a copy that ends before it got as far as its port's `transmit`.
    mutating func dropCopy(
        _ reason: DropReason, of frame: UnsafePointer<Frame>?, to port: UInt16, domain: UInt16
    ) {
        countCopies(1, to: port, domain: domain)
        drop(reason, frame, port: port, domain: domain)
    }

    /// Transmits `count` entries and accounts for each, domain by domain.
    private mutating func send(_ count: Int, to attachment: PortReference, port: UInt16) {
        guard count > 0 else { return }
        attachment.transmit(UnsafeMutableBufferPointer(start: entries, count: count))
        if snapshot.ports[Int(port)].flags.contains(.captured) {
            captureEgress(count, port: port)
        }
        var total = Tally()
        var start = 0
        while start < count {
            let domain = entryInfo[start].domain
            var run = Tally()
            var place = start
            repeat {
                let entry = entries + place
                if entry.pointee.outcome == .none {
                    run.frames &+= 1
                    run.bytes &+= UInt64(truncatingIfNeeded: entry.pointee.frameByteCount)
                    run.segments &+= UInt64(entryInfo[place].segmentCount)
                }
                place &+= 1
            } while place < count && entryInfo[place].domain == domain
            countCopies(UInt64(place &- start), to: port, domain: domain)
            counters.addTransmitted(run, domain: domain)
            total.frames &+= run.frames
            total.bytes &+= run.bytes
            total.segments &+= run.segments
            start = place
        }
        if total.frames != UInt64(count) { dropRefused(count, port: port) }
        counters.add(total.frames, .transmitted, port: port)
        counters.add(total.bytes, .transmittedBytes, port: port)
        counters.add(total.segments, .transmittedSegments, port: port)
    }

    /// Drops what the port did not take of the first `count` entries.
    @inline(never)
    private mutating func dropRefused(_ count: Int, port: UInt16) {
        for place in 0..<count where entries[place].outcome != .none {
            drop(
                entries[place].outcome, entryInfo[place].frame, port: port,
                domain: entryInfo[place].domain)
        }
    }

    private mutating func dropChain(_ head: Int32, port: UInt16) {
        var next = head
        while next >= 0 {
            dropCopy(
                .egressDown, of: references[Int(next)].frame, to: port,
                domain: references[Int(next)].domain)
            next = references[Int(next)].next
        }
    }

    mutating func complete(_ frame: UnsafeMutablePointer<Frame>, port: UInt16) {
        frame.pointee.gather()
        let buffer = UnsafeMutableRawBufferPointer(
            start: frame.pointee.bytes, count: Int(frame.pointee.byteCount))
        // Cannot fail: the forwarding function checked the request against the bytes.
        if frame.pointee.offload.completeChecksum(in: buffer) {
            counters.add(1, .checksummedInSoftware, port: port)
        }
    }

    /// Cuts a super-frame and transmits its segments.
    ///
    /// The copy counts as transmitted when every segment was, and otherwise as one drop: a receiver
    /// of part of a super-frame sees loss.
    private mutating func segment(
        _ reference: Reference, to attachment: PortReference, port: UInt16
    ) {
        countCopies(1, to: port, domain: reference.domain)
        reference.frame.pointee.gather()
        guard
            var segmenter = Segmenter(
                frame: reference.frame.pointee.buffer, offload: reference.frame.pointee.offload)
        else {
            drop(.cannotSegment, reference.frame, port: port, domain: reference.domain)
            return
        }
        counters.add(1, .segmentedInSoftware, port: port)
        let limit = segmenter.geometry.maximumSegmentByteCount
        var failure = DropReason.none
        var bytes = 0
        var sent: UInt64 = 0
        var isDone = false
        while !isDone {
            segments.reset()
            var count = 0
            while count < Burst.capacity, let room = segments.reserve(limit) {
                guard
                    let byteCount = segmenter.next(
                        into: UnsafeMutableRawBufferPointer(start: room, count: limit))
                else {
                    isDone = true
                    break
                }
                buildSegment(
                    count, at: room, byteCount: byteCount, tci: reference.frame.pointee.tci,
                    vid: reference.vid)
                (entryInfo + count).initialize(
                    to: EntryInfo(
                        domain: reference.domain, segmentCount: 1, frame: reference.frame))
                count += 1
            }
            guard count > 0 else { break }
            attachment.transmit(UnsafeMutableBufferPointer(start: entries, count: count))
            if snapshot.ports[Int(port)].flags.contains(.captured) {
                captureEgress(count, port: port)
            }
            for place in 0..<count {
                if entries[place].outcome == .none {
                    sent &+= 1
                    bytes += entries[place].frameByteCount
                } else {
                    failure = entries[place].outcome
                }
            }
        }
        counters.add(sent, .transmittedSegments, port: port)
        counters.add(UInt64(bytes), .transmittedBytes, port: port)
        counters.add(sent, .transmittedSegments, domain: reference.domain)
        counters.add(UInt64(bytes), .transmittedBytes, domain: reference.domain)
        if failure == .none {
            counters.add(1, .transmitted, port: port)
            counters.add(1, .transmitted, domain: reference.domain)
        } else {
            drop(failure, reference.frame, port: port, domain: reference.domain)
        }
    }

    /// Fills entry `place` with a complete segment that lies in scratch memory.
    private mutating func buildSegment(
        _ place: Int, at bytes: UnsafeMutableRawPointer, byteCount: Int, tci: UInt16, vid: UInt16
    ) {
        var start = bytes
        var length = byteCount
        if vid != 0 {
            start -= 4
            start.copyMemory(from: bytes, byteCount: 12)
            start.storeBigEndian(UInt16(0x8100), at: 12)
            start.storeBigEndian(tci & 0xF000 | vid, at: 14)
            length += 4
        }
        Offload.none.store(to: start - SlotSize.vnetHeader)
        (entries + place).initialize(
            to: TransmitEntry(
                head: start - SlotSize.vnetHeader, headByteCount: length + SlotSize.vnetHeader,
                body: start, bodyByteCount: 0, outcome: .none))
    }
}
