import Wire

/// What a worker does for those who watch the switch: it hands over what hosts say of themselves,
/// takes back the switch's own loop probes, and sends them.
extension Worker {
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
    private func isAnnouncement(place: Int, type: UInt16) -> Bool {
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
