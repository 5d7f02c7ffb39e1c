import Wire

/// From chains of tunnels to messages for their underlays.
///
/// Theory of operation: the copies for all tunnels of one underlay are gathered by ``MessageWriter``
/// and sent together. A frame's encapsulation header is written into its headroom, right before its
/// bytes; it is the same for every tunnel of the underlay, so that a frame that is replicated to
/// many hosts is gathered many times and written once. A super-frame is cut without touching its
/// payload: each segment gets its own headers in scratch memory, and its payload is gathered from
/// where the super-frame lies.
///
/// Which source port a frame leaves from is a hash of its inner flow, so that the underlay's ECMP and
/// receive queues tell flows apart and a flow keeps its order (RFC 7348 §5, RFC 8926 §3.3). Frames
/// are gathered source by source; within one, in order of arrival.
///
/// Ports come before tunnels: a port's vnet header lies where a tunnel's header would.
extension Worker {
    /// Empties the chains of the tunnels among the first `count` active ports.
    mutating func transmitTunnels(_ count: Int) {
        var underlay = -1
        var encapsulation = Encapsulation.vxlan
        for position in 0..<count {
            let port = activePorts[position]
            guard snapshot.ports[Int(port)].flags.contains(.tunnel) else { continue }
            let tunnel = snapshot.tunnelTable.tunnels[Int(snapshot.ports[Int(port)].tunnel)]
            // GRE and NVGRE share sockets, not headers.
            if Int(tunnel.underlay) != underlay || tunnel.encapsulation != encapsulation {
                sendMessages(underlay, keepsOpenCopy: false)
                underlay = Int(tunnel.underlay)
                encapsulation = tunnel.encapsulation
            }
            let head = chains[Int(port)].head
            Worker.makeEmpty(chains + Int(port))
            encapsulate(chain: head, port: port, tunnel: tunnel)
        }
        sendMessages(underlay, keepsOpenCopy: false)
    }

    private mutating func encapsulate(
        chain head: Int32, port: UInt16, tunnel: TunnelTable.Tunnel
    ) {
        if snapshot.ports[Int(port)].flags.contains(.captured) {
            captureTunnelEgress(chain: head, port: port)
        }
        let reference = snapshot.tunnelTable.underlays[Int(tunnel.underlay)].reference
        let sourceMask = reference.sourceCount - 1
        let joins = reference.segments
        var next = head
        while next >= 0 {
            // A burst at a time: which sources it needs, and what goes to each.
            let start = next
            var present: UInt64 = 0
            var count = 0
            while next >= 0, count < Burst.capacity {
                let frame = references[Int(next)].frame
                frame.pointee.gather()
                let flow = FlowHash.of(frame.pointee)
                tunnelFlows[count] = flow
                present |= 1 << UInt64(Int(flow) & sourceMask)
                count &+= 1
                next = references[Int(next)].next
            }
            while present != 0 {
                let source = present.trailingZeroBitCount
                present &= present &- 1
                var place = start
                for index in 0..<count {
                    let copy = references[Int(place)]
                    place = copy.next
                    guard Int(tunnelFlows[index]) & sourceMask == source else { continue }
                    encapsulate(
                        copy, port: port, tunnel: tunnel, flow: tunnelFlows[index],
                        source: source, joins: joins)
                }
            }
        }
    }

    @inline(__always)
    private mutating func encapsulate(
        _ copy: Reference, port: UInt16, tunnel: TunnelTable.Tunnel, flow: UInt8, source: Int,
        joins: Bool
    ) {
        let frame = copy.frame
        if frame.pointee.offload.isPending {
            if frame.pointee.offload.isGSO {
                encapsulateSegments(
                    copy, port: port, tunnel: tunnel, flow: flow, source: source, joins: joins)
                return
            }
            complete(frame, port: port)
        }
        if !writer.hasRoom { sendMessages(Int(tunnel.underlay), keepsOpenCopy: false) }
        let header = frame.pointee.bytes - Encapsulation.headerByteCount
        tunnel.encapsulation.write(
            vni: snapshot.domains[Int(copy.domain)].vni, flow: flow, to: header)
        writer.beginCopy(
            port: port, domain: copy.domain, segmentCount: frame.pointee.segmentCount,
            byteCount: frame.pointee.byteCount, frame: frame)
        writer.add(
            OutgoingPiece(
                bytes: header,
                byteCount: Int(frame.pointee.byteCount) &+ Encapsulation.headerByteCount),
            OutgoingPiece(bytes: header, byteCount: 0), to: tunnel.remote, from: source,
            joins: joins)
        writer.noteDatagram()
        writer.endCopy()
    }

    /// Cuts a super-frame into datagrams.
    private mutating func encapsulateSegments(
        _ copy: Reference, port: UInt16, tunnel: TunnelTable.Tunnel, flow: UInt8, source: Int,
        joins: Bool
    ) {
        let frame = copy.frame
        guard
            var segmenter = Segmenter(
                frame: frame.pointee.buffer, offload: frame.pointee.offload),
            segmenter.geometry.headerByteCount + Encapsulation.headerByteCount
                <= MessageWriter.headerStride
        else {
            dropCopy(.cannotSegment, of: frame, to: port, domain: copy.domain)
            return
        }
        let vni = snapshot.domains[Int(copy.domain)].vni
        let headerByteCount = segmenter.geometry.headerByteCount
        if !writer.hasRoom { sendMessages(Int(tunnel.underlay), keepsOpenCopy: false) }
        writer.beginCopy(
            port: port, domain: copy.domain, segmentCount: frame.pointee.segmentCount,
            byteCount: frame.pointee.byteCount, frame: frame)
        while true {
            if !writer.hasRoom { sendMessages(Int(tunnel.underlay), keepsOpenCopy: true) }
            let header = writer.takeHeader()
            guard
                let payload = segmenter.nextHeaders(into: header + Encapsulation.headerByteCount)
            else { break }
            tunnel.encapsulation.write(vni: vni, flow: flow, to: header)
            writer.add(
                OutgoingPiece(
                    bytes: header, byteCount: headerByteCount &+ Encapsulation.headerByteCount),
                OutgoingPiece(
                    bytes: frame.pointee.bytes + payload.lowerBound, byteCount: payload.count),
                to: tunnel.remote, from: source, joins: joins)
            writer.noteDatagram()
        }
        writer.endCopy()
    }

    /// Sends what has been gathered for an underlay and accounts for it.
    private mutating func sendMessages(_ underlay: Int, keepsOpenCopy: Bool) {
        guard !writer.isEmpty || keepsOpenCopy else { return }
        if writer.messageCount > 0 {
            snapshot.tunnelTable.underlays[underlay].reference.transmit(
                UnsafeMutableBufferPointer(start: writer.messages, count: writer.messageCount),
                pieces: writer.pieces)
        }
        account()
        writer.reset(keepingOpenCopy: keepsOpenCopy)
    }

    /// Counts the copies that were sent, run by run of one tunnel and domain.
    private mutating func account() {
        var place = 0
        let count = writer.copyCount
        while place < count {
            let first = writer.copies[place]
            var run = Tally()
            let start = place
            repeat {
                let copy = writer.copies[place]
                let outcome = writer.outcome(of: copy)
                if outcome == .none {
                    run.frames &+= 1
                    run.bytes &+= UInt64(copy.byteCount)
                    run.segments &+= UInt64(copy.segmentCount)
                } else {
                    drop(outcome, copy.frame, port: first.port, domain: first.domain)
                }
                place &+= 1
            } while place < count && writer.copies[place].port == first.port
                && writer.copies[place].domain == first.domain
            countCopies(UInt64(place &- start), to: first.port, domain: first.domain)
            counters.addTransmitted(run, domain: first.domain)
            counters.add(run.frames, .transmitted, port: first.port)
            counters.add(run.bytes, .transmittedBytes, port: first.port)
            counters.add(run.segments, .transmittedSegments, port: first.port)
        }
    }
}
