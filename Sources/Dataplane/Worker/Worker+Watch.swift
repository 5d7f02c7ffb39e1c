import Wire

/// What a worker does for those who watch the switch: it notes what became of frames, hands over what hosts say of themselves,
/// takes back the switch's own loop probes, and sends them.
extension Worker {
    /// Numbers the burst's frames, and decides which of them are noted. Whoever captures gets copies
    /// of the frames here, as they came.
    @inline(__always)
    mutating func prepareNotes(ingress: UInt16) {
        // The benchmark builds the switch without it, to show what it costs when nobody looks.
        #if !HEDDLE_WITHOUT_CAPTURE
            burstID = FrameID(ingress: ingress, worker: index, count: frameCount &+ 1).word
            frameCount &+= UInt64(burst.count)
            recordCount = 0
            if let flight { recordCount = flight.admit(burst.count, at: time) }
            noteCount = recordCount
            if !snapshot.ports[Int(ingress)].flags.isDisjoint(with: [.captured, .sampled]) {
                isCapturePending = captureIngress(port: ingress)
                if isCapturePending { noteCount = burst.count }
            }
        #endif
    }

    @inline(__always)
    mutating func recordFlight(place: Int, _ verdict: Verdict, ingress: UInt16) {
        guard let flight else { return }
        let frame = burst.frames + place
        var record = record(port: ingress, .ingress, of: frame)
        complete(&record, verdict)
        record.originalByteCount = frame.pointee.byteCount
        record.tci = frame.pointee.tci
        record.offload = frame.pointee.offload
        flight.append(record, frame.pointee.buffer)
    }

    /// Counts a frame or a copy that ends here, and keeps what is wanted of it.
    @inline(never)
    mutating func drop(
        _ reason: DropReason, _ frame: UnsafePointer<Frame>?, port: UInt16, domain: UInt16,
        count: UInt64 = 1
    ) {
        counters.drop(reason, port: port, domain: domain, count: count)
        let isWanted = link.drops.note(reason, port: port, tick: tick)
        guard let frame, isWanted || snapshot.capturesDrops else { return }
        var record = record(port: port, .drop, of: frame)
        record.reason = reason
        record.action = .drop
        record.domain = domain
        record.tci = frame.pointee.tci
        record.offload = frame.pointee.offload
        record.originalByteCount = frame.pointee.byteCount
        if isWanted { link.drops.keep(record, frame.pointee.buffer) }
        if snapshot.capturesDrops { captureDrop(record, frame) }
    }

    private mutating func captureDrop(_ record: FrameRecord, _ frame: UnsafePointer<Frame>) {
        for tap in snapshot.captures where tap.wants(record.reason, at: record.port) {
            let ring = tap.rings[index]
            // A tag was taken from the frame: the filter sees it as the capture will show it.
            if let filter = tap.filter {
                if !passes(filter, frame.pointee) {
                    ring.reject(port: record.port)
                    continue
                }
            }
            ring.append(record, snapLength: tap.snapLength, head: frame.pointee.buffer)
            if !isCapturePending { ring.publish() }
        }
    }

    /// Takes a frame from the switch's own address. All but whole probes of this switch are somebody
    /// else's use of the address, and end here as well.
    @inline(never)
    mutating func consume(place: Int, ingress: UInt16, domain: UInt16) {
        counters.add(1, .consumed, port: ingress)
        counters.add(1, .consumed, domain: domain)
        guard let probe = LoopProbe.parse(burst.frames[place].buffer) else { return }
        _ = link.returnedProbes.push(
            LoopReturn(probe: probe, ingress: ingress, domain: domain, time: time))
    }

    /// Keeps a flooded frame in which a host announces itself: ARP, IPv6 neighbour and router
    /// discovery, DHCP in either family. What hosts say to all they say often enough, so that frames
    /// to one host are not looked at.
    @inline(__always)
    mutating func watchStation(place: Int, ingress: UInt16, domain: UInt16) {
        let type = burst.frames[place].bytes.loadBigEndian(12, as: UInt16.self)
        guard type == EtherType.arp.rawValue || isAnnouncement(place: place, type: type) else {
            return
        }
        announce(place: place, ingress: ingress, domain: domain)
    }

    @inline(never)
    private mutating func isAnnouncement(place: Int, type: UInt16) -> Bool {
        let frame = burst.frames[place].buffer
        guard let base = frame.baseAddress else { return false }
        switch type {
        case EtherType.ipv4.rawValue:
            // DHCP (RFC 2131): UDP between ports 67 and 68, first fragment, whatever the options.
            guard frame.count >= 14 + 20 + 8, base.load(fromByteOffset: 23, as: UInt8.self) == 17
            else { return false }
            let header = Int(base.load(fromByteOffset: 14, as: UInt8.self) & 0x0F) * 4
            guard header >= 20, frame.count >= 14 + header + 8 else { return false }
            let ports = base.loadBigEndian(14 + header, as: UInt32.self)
            return ports == 68 << 16 | 67 || ports == 67 << 16 | 68
        case EtherType.ipv6.rawValue:
            guard frame.count >= 14 + 40 + 8 else { return false }
            switch base.load(fromByteOffset: 20, as: UInt8.self) {
            case 58:  // ICMPv6: neighbour discovery has types 133 to 137 (RFC 4861)
                let kind = base.load(fromByteOffset: 54, as: UInt8.self)
                return kind >= 133 && kind <= 137
            case 17:  // DHCPv6 (RFC 8415): UDP between ports 546 and 547
                let ports = base.loadBigEndian(54, as: UInt32.self)
                return ports == 546 << 16 | 547 || ports == 547 << 16 | 546
            default: return false
            }
        default: return false
        }
    }

    @inline(never)
    private mutating func announce(place: Int, ingress: UInt16, domain: UInt16) {
        guard announcementLimiters[Int(ingress)].admit(at: time) else { return }
        var record = FrameRecord(port: ingress, point: .ingress)
        record.time = time
        record.domain = domain
        record.action = .flood
        link.announcements.append(
            record, snapLength: Worker.announcementByteCount, head: burst.frames[place].buffer)
        link.announcements.publish()
    }

    /// Enough for what DHCP says of a host.
    private static let announcementByteCount = 640

    /// Sends the frames that the control side wants sent.
    @inline(never)
    mutating func transmitInjected() {
        while replyCount < ReplyFrames.capacity, let injected = link.takeInjection() {
            // The port may have gone, or changed hands or networks, since.
            guard owns(injected.egress), Int(injected.domain) < snapshot.domainCount,
                injected.bytes.count >= 14,
                injected.bytes.count <= InjectedFrame.maximumByteCount,
                snapshot.ports[Int(injected.egress)].flags.contains(.up),
                !snapshot.ports[Int(injected.egress)].flags.contains(.tunnel),
                let vid = snapshot.egressVID(port: injected.egress, domain: injected.domain),
                let room = replies.room(replyCount).baseAddress
            else { continue }
            injected.bytes.withUnsafeBytes { bytes in
                if let base = bytes.baseAddress {
                    room.copyMemory(from: base, byteCount: bytes.count)
                }
            }
            let frame = replies.frames + replyCount
            frame.initialize(
                to: Frame(bytes: room, byteCount: injected.bytes.count, offload: .none))
            replyCount += 1
            chain(frame, to: injected.egress, vid: vid, domain: injected.domain)
        }
        transmitAll()
    }
}
