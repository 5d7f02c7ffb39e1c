import Wire

// What a kernel that is the other end of a tunnel may have left undone.
//
// On one machine a packet crosses from sender to receiver without anybody finishing its checksum or
// cutting it: the kernel knows, in the skb, that both may be done later. A socket gives the bytes and
// not that knowledge. So a frame of a kernel's vxlan device over a veth comes with nothing but the
// pseudo header's sum in its TCP or UDP checksum, and a super-frame comes as one datagram of up to
// 64 KiB; GRE that a device has coalesced comes likewise.
//
// A checksum field that holds exactly that sum is therefore taken for a partial one. If by chance it
// was a finished one (one in 65,536 is equal), to finish it again changes nothing, because the sum
// over a right packet and its pseudo header is right whichever way it is come by. A TCP packet with a
// partial checksum that is longer than the network's MTU is a super-frame; the MTU is then all that
// is known of how long its segments were.

/// Recognises unfinished inner frames.
enum InnerOffload {
    /// What is left to do for `frame`, an untagged Ethernet frame; `Offload.none` for nothing.
    ///
    /// - Parameter mtu: the network's.
    @inline(__always)
    static func of(_ frame: UnsafeRawBufferPointer, mtu: Int) -> Offload {
        guard let base = frame.baseAddress, frame.count >= 42 else { return .none }
        switch base.loadBigEndian(12, as: UInt16.self) {
        case EtherType.ipv4.rawValue: return ofIPv4(base, byteCount: frame.count, mtu: mtu)
        case EtherType.ipv6.rawValue: return ofIPv6(base, byteCount: frame.count, mtu: mtu)
        default: return .none
        }
    }

    @inline(__always)
    private static func ofIPv4(
        _ base: UnsafeRawPointer, byteCount: Int, mtu: Int
    ) -> Offload {
        let first = base.load(fromByteOffset: 14, as: UInt8.self)
        let headerByteCount = Int(first & 0x0F) &* 4
        let packetByteCount = Int(base.loadBigEndian(16, as: UInt16.self))
        guard first >> 4 == 4, headerByteCount >= 20,
            // No fragment: its checksum is over more than is here.
            base.loadBigEndian(20, as: UInt16.self) & 0x3FFF == 0,
            packetByteCount >= headerByteCount,
            isPadding(base, from: 14 &+ packetByteCount, to: byteCount)
        else { return .none }
        let kind = IPProtocol(rawValue: base.load(fromByteOffset: 23, as: UInt8.self))
        let transportByteCount = packetByteCount &- headerByteCount
        guard let field = checksumField(kind, transportByteCount) else { return .none }
        let pseudo = InternetChecksum.pseudoHeader(
            ipv4: base + 14, transportProtocol: kind, byteCount: transportByteCount)
        return unfinished(
            base, transportOffset: 14 &+ headerByteCount, field: field, pseudo: pseudo,
            packetByteCount: packetByteCount, mtu: mtu, gsoType: Offload.gsoTCPv4)
    }

    @inline(__always)
    private static func ofIPv6(
        _ base: UnsafeRawPointer, byteCount: Int, mtu: Int
    ) -> Offload {
        guard byteCount >= 62, base.load(fromByteOffset: 14, as: UInt8.self) >> 4 == 6 else {
            return .none
        }
        let transportByteCount = Int(base.loadBigEndian(18, as: UInt16.self))
        let kind = IPProtocol(rawValue: base.load(fromByteOffset: 20, as: UInt8.self))
        guard isPadding(base, from: 54 &+ transportByteCount, to: byteCount),
            let field = checksumField(kind, transportByteCount)
        else { return .none }
        let pseudo = InternetChecksum.pseudoHeader(
            ipv6: base + 14, transportProtocol: kind, byteCount: transportByteCount)
        return unfinished(
            base, transportOffset: 54, field: field, pseudo: pseudo,
            packetByteCount: 40 &+ transportByteCount, mtu: mtu, gsoType: Offload.gsoTCPv6)
    }

    /// Whether nothing but zeros lies behind the packet, which change no sum: what finishes the
    /// checksum goes to the frame's end.
    @inline(__always)
    private static func isPadding(
        _ base: UnsafeRawPointer, from start: Int, to end: Int
    ) -> Bool {
        guard start < end else { return start == end }
        for offset in start..<end where base.load(fromByteOffset: offset, as: UInt8.self) != 0 {
            return false
        }
        return true
    }

    /// Where the checksum is, from the transport header; nil for a protocol without one, or when the
    /// header is cut off.
    @inline(__always)
    private static func checksumField(_ kind: IPProtocol, _ byteCount: Int) -> Int? {
        switch kind {
        case .tcp: byteCount >= 20 ? 16 : nil
        case .udp: byteCount >= 8 ? 6 : nil
        default: nil
        }
    }

    @inline(__always)
    private static func unfinished(
        _ base: UnsafeRawPointer, transportOffset: Int, field: Int, pseudo: InternetChecksum,
        packetByteCount: Int, mtu: Int, gsoType: UInt8
    ) -> Offload {
        guard base.loadBigEndian(transportOffset &+ field, as: UInt16.self) == pseudo.folded else {
            return .none
        }
        var offload = Offload(
            flags: Offload.needsChecksum,
            checksumStart: UInt16(truncatingIfNeeded: transportOffset),
            checksumOffset: UInt16(truncatingIfNeeded: field))
        guard packetByteCount > mtu, field == 16 else { return offload }
        let dataOffset = base.load(fromByteOffset: transportOffset &+ 12, as: UInt8.self) >> 4
        let headerByteCount = transportOffset &+ Int(dataOffset) &* 4
        // Where nothing fits behind the headers, the check at ingress says so.
        offload.gsoType = gsoType
        offload.gsoSize = UInt16(clamping: mtu &+ 14 &- headerByteCount)
        offload.headerByteCount = UInt16(truncatingIfNeeded: headerByteCount)
        return offload
    }
}
