/// Frames whose egress port belongs to another worker.
///
/// A handover moves the slot: the other worker transmits from it and sends the pointer back by the
/// return ring, which has room for every slot there is. When the other worker's ring is full the
/// copy is dropped as `egress-handoff-full`; the slot stays here. A copy is counted by the worker
/// where it ends: here when it is dropped, there when it is transmitted.
extension Worker {
    /// Hands a unicast frame over, with its slot.
    @inline(never)
    mutating func handOver(place: Int, to egress: UInt16, domain: UInt16) {
        burst.frames[place].gather()
        let slot = burst.detachSlot(place)
        handOver(burst.frames[place], place: place, slot: slot, to: egress, domain: domain)
    }

    private mutating func handOver(
        _ frame: Frame, place: Int, slot: UnsafeMutableRawPointer, to egress: UInt16,
        domain: UInt16
    ) {
        let owner = Int(snapshot.ports[Int(egress)].worker)
        let sent = fabric.links[owner].incoming[index].push(
            Handoff(
                slot: slot, bytes: frame.bytes, byteCount: frame.byteCount, tci: frame.tci,
                segmentCount: frame.segmentCount, packetByteCount: frame.packetByteCount,
                offload: frame.offload, egress: egress, domain: domain,
                id: burstID &+ UInt64(place)))
        if sent {
            peersToWake |= 1 << UInt64(owner)
        } else {
            pool.put(slot)
            dropCopy(.egressHandoffFull, of: burst.frames + place, to: egress, domain: domain)
        }
    }

    mutating func handOverCopy(place: Int, to egress: UInt16, domain: UInt16) {
        guard let slot = pool.take() else {
            dropCopy(.egressHandoffFull, of: burst.frames + place, to: egress, domain: domain)
            return
        }
        burst.frames[place].gather()
        var frame = burst.frames[place]
        let bytes = slot + SlotSize.headroom
        bytes.copyMemory(from: frame.bytes, byteCount: Int(frame.byteCount))
        frame.bytes = bytes
        handOver(frame, place: place, slot: slot, to: egress, domain: domain)
    }

    /// Transmits up to a burst of frames that `peer` handed over; true when there were any.
    mutating func receiveHandoffs(from peer: Int) -> Bool {
        var count = 0
        while count < Burst.capacity, let handoff = link.incoming[peer].pop() {
            var frame = Frame(
                bytes: handoff.bytes, byteCount: Int(handoff.byteCount), offload: handoff.offload)
            frame.tci = handoff.tci
            frame.segmentCount = handoff.segmentCount
            (foreignFrames + count).initialize(to: frame)
            foreignSlots[count] = handoff.slot
            foreignIDs[count] = handoff.id
            // The port may have gone, changed hands or joined another network since the frame was
            // decided by a worker that uses another snapshot.
            if owns(handoff.egress), Int(handoff.domain) < snapshot.domainCount,
                snapshot.ports[Int(handoff.egress)].flags.contains(.up),
                let vid = snapshot.egressVID(port: handoff.egress, domain: handoff.domain)
            {
                // So may the way that a tunnel takes.
                if fitsTunnel(handoff) {
                    chain(
                        foreignFrames + count, to: handoff.egress, vid: vid,
                        domain: handoff.domain)
                } else {
                    dropCopy(
                        .overlayMTU, of: foreignFrames + count, to: handoff.egress,
                        domain: handoff.domain)
                }
            } else {
                let isTunnel =
                    owns(handoff.egress)
                    && snapshot.ports[Int(handoff.egress)].flags.contains(.tunnel)
                dropCopy(
                    isTunnel ? .tunnelDown : .egressDown, of: foreignFrames + count,
                    to: handoff.egress, domain: handoff.domain)
            }
            count += 1
        }
        guard count > 0 else { return false }
        transmitAll()
        for place in 0..<count {
            let returned = fabric.links[peer].returns[index].push(foreignSlots[place])
            precondition(returned, "a return ring has room for every slot")
        }
        return true
    }

    private mutating func fitsTunnel(_ handoff: Handoff) -> Bool {
        let egress = snapshot.ports[Int(handoff.egress)]
        guard egress.flags.contains(.tunnel) else { return true }
        return handoff.packetByteCount
            <= snapshot.tunnelTable.tunnels[Int(egress.tunnel)].maximumPacketByteCount
    }

    /// Takes back the slots that other workers have finished with.
    mutating func recycleSlots() {
        guard hasPeers else { return }
        for peer in 0..<fabric.links.count where peer != index {
            while let slot = link.returns[peer].pop() { pool.put(slot) }
        }
    }
}
