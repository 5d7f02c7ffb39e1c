import Wire

/// From an underlay's datagrams to bursts of frames.
///
/// Theory of operation, for each datagram:
///
/// 1. *Whose?* The outer source address names the tunnel. A stranger's datagram ends here, as does
///    one of our own that somebody reflected.
/// 2. *Which network?* The header is read as the tunnel's encapsulation has it, and its VNI must be
///    that of a network which the sending host takes part in. VNI 0 carries no network: it is for
///    probes (RFC 8971 §3), which go to the control side.
/// 3. The inner frame is copied into a burst, merged with the one before it where they are segments
///    of one TCP flow (``Coalescer``).
///
/// A burst holds frames of one tunnel; it is forwarded when it is full, when the next datagram is of
/// another tunnel, and at the end. What ends before it is in a burst is counted as received by its
/// tunnel, or by the underlay when it has none, so that frames are conserved there too.
extension Worker {
    /// Receives one batch of an underlay that this worker owns and switches it.
    mutating func serveUnderlay(_ place: Int) -> ReceiveOutcome {
        recycleSlots()
        burst.refill(from: &pool)
        guard burst.limit > 0 else { return .more }
        batch.clear()
        let table = snapshot.tunnelTable
        let outcome = table.underlays[place].reference.receive(into: &batch)
        receivedCount = batch.count
        guard batch.count > 0 else { return outcome }
        link.bursts.store(link.bursts.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        var current = -1
        for index in 0..<batch.count {
            let message = batch.messages[index]
            let underlay = table.underlays[place]
            guard let tunnel = table.tunnel(from: message.source, on: underlay) else {
                let reason: DropReason =
                    message.source == underlay.local ? .ownPacket : .unknownVTEP
                discard(message, reason, port: underlay.number)
                continue
            }
            if tunnel != current {
                forwardTunnel(current)
                current = tunnel
            }
            decapsulate(message, table.tunnels[tunnel], place: tunnel)
        }
        forwardTunnel(current)
        return outcome
    }

    private mutating func decapsulate(
        _ message: IncomingMessage, _ tunnel: TunnelTable.Tunnel, place: Int
    ) {
        // A segment length of nothing would never come to the message's end.
        guard !message.isTruncated, message.byteCount > 0, message.segmentByteCount > 0 else {
            discard(
                message, message.isTruncated ? .truncatedRead : .malformedTunnel,
                port: tunnel.number)
            return
        }
        var offset = 0
        // The last answer is usually the next.
        var vni: UInt32 = 0
        var domain: UInt16 = 0
        while offset < message.byteCount {
            let byteCount = min(message.segmentByteCount, message.byteCount - offset)
            let datagram = UnsafeRawBufferPointer(
                start: message.bytes + offset, count: byteCount)
            offset &+= byteCount
            switch tunnel.encapsulation.read(datagram) {
            case .drop(let reason):
                discard(datagram, reason, port: tunnel.number)
            case .frame(let found, let headerByteCount):
                let frame = UnsafeRawBufferPointer(rebasing: datagram[headerByteCount...])
                guard frame.count <= SlotSize.maximumFrame else {
                    discard(datagram, .truncatedRead, port: tunnel.number)
                    continue
                }
                guard found != 0 else {
                    takeProbe(frame, tunnel: tunnel.number)
                    continue
                }
                if found != vni {
                    vni = found
                    domain = snapshot.tunnelTable.domain(of: found)
                    if domain != 0, !snapshot.ports[Int(tunnel.number)].isMember(of: domain) {
                        domain = 0
                    }
                }
                guard domain != 0 else {
                    discard(datagram, .unknownVNI, port: tunnel.number)
                    continue
                }
                guard frame.count >= 14 else {
                    discard(datagram, .runt, port: tunnel.number)
                    continue
                }
                if add(frame, domain: domain, tunnel: tunnel.number) { continue }
                forwardTunnel(place)
                // Room was made, unless all slots are with other workers.
                if !add(frame, domain: domain, tunnel: tunnel.number) {
                    discard(datagram, .noFrameSlot, port: tunnel.number)
                }
            }
        }
    }

    @inline(__always)
    private mutating func add(
        _ frame: UnsafeRawBufferPointer, domain: UInt16, tunnel: UInt16
    ) -> Bool {
        coalescer.add(
            frame, domain: domain, ingress: tunnel, mtu: Int(snapshot.domains[Int(domain)].mtu),
            to: &burst)
    }

    /// Forwards what has been gathered of a tunnel.
    private mutating func forwardTunnel(_ place: Int) {
        guard burst.count > 0 else { return }
        coalescer.finish()
        let tunnel = snapshot.tunnelTable.tunnels[place]
        counters.noteHeard(tunnel.number, at: time)
        prepareNotes(ingress: tunnel.number)
        if tunnel.clampsMSS {
            for frame in 0..<burst.count {
                clampMSS(burst.frames + frame, to: tunnel)
            }
        }
        forward(ingress: tunnel.number)
        transmitAll()
        burst.clear()
        recycleSlots()
        burst.refill(from: &pool)
    }

    /// Hands a probe to the control side.
    private mutating func takeProbe(_ frame: UnsafeRawBufferPointer, tunnel: UInt16) {
        guard let packet = OverlayProbe.parse(frame.bytes) else {
            discard(frame, .unknownVNI, port: tunnel)
            return
        }
        counters.noteHeard(tunnel, at: time)
        counters.add(1, .received, port: tunnel)
        counters.add(1, .receivedSegments, port: tunnel)
        counters.add(UInt64(frame.count), .receivedBytes, port: tunnel)
        counters.add(1, .consumed, port: tunnel)
        // A full mailbox is a control side that does not keep up: the next probe tells as much.
        _ = link.probes.push(ProbeArrival(tunnel: tunnel, time: time, packet: packet))
    }

    private mutating func discard(
        _ datagram: UnsafeRawBufferPointer, _ reason: DropReason, port: UInt16
    ) {
        discard(1, byteCount: datagram.count, reason, port: port)
    }

    /// Discards all datagrams of a message.
    private mutating func discard(_ message: IncomingMessage, _ reason: DropReason, port: UInt16) {
        let size = max(message.segmentByteCount, 1)
        discard(
            max(1, (message.byteCount + size - 1) / size), byteCount: message.byteCount, reason,
            port: port)
    }

    private mutating func discard(_ count: Int, byteCount: Int, _ reason: DropReason, port: UInt16)
    {
        counters.add(UInt64(count), .received, port: port)
        counters.add(UInt64(count), .receivedSegments, port: port)
        counters.add(UInt64(byteCount), .receivedBytes, port: port)
        drop(reason, nil, port: port, domain: 0, count: UInt64(count))
    }
}
