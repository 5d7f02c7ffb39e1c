/// Whether a frame may enter a tunnel, and what its sender hears if it is too big.
///
/// A tunnel must not fragment (RFC 7348 §4.3), and its packets carry DF: what does not fit would be
/// lost without a word somewhere in the underlay. So it ends here, charged to the tunnel, and where
/// its sender asked not to be fragmented it is told what fits, inside its own network.
extension Worker {
    /// False when the copy ended here.
    @inline(never)
    mutating func mayEnterTunnel(
        place: Int, _ port: UInt16, domain: UInt16, ingress: UInt16
    ) -> Bool {
        let entry = snapshot.ports[Int(port)]
        guard entry.flags.contains(.up) else {
            dropCopy(.tunnelDown, of: burst.frames + place, to: port, domain: domain)
            return false
        }
        let tunnel = snapshot.tunnelTable.tunnels[Int(entry.tunnel)]
        guard burst.frames[place].packetByteCount <= tunnel.maximumPacketByteCount else {
            dropCopy(.overlayMTU, of: burst.frames + place, to: port, domain: domain)
            answerTooBig(
                place: place, maximum: tunnel.maximumPacketByteCount, domain: domain,
                ingress: ingress)
            return false
        }
        if tunnel.clampsMSS { clampMSS(burst.frames + place, to: tunnel) }
        return true
    }

    /// Lowers the MSS that a SYN announces to what fits the tunnel.
    mutating func clampMSS(_ frame: UnsafeMutablePointer<Frame>, to tunnel: TunnelTable.Tunnel) {
        _ = MSSClamp.apply(
            to: UnsafeMutableRawBufferPointer(
                start: frame.pointee.bytes, count: frame.pointee.buffer.count),
            offload: frame.pointee.offload,
            maximumPacketByteCount: Int(tunnel.maximumPacketByteCount))
    }

    /// Tells the sender of frame `place` what fits, by the port that the frame came from.
    private mutating func answerTooBig(
        place: Int, maximum: UInt32, domain: UInt16, ingress: UInt16
    ) {
        // A flood may be too big for many tunnels: one answer, and the next packet tells of the rest.
        guard replyCount < ReplyFrames.capacity, place != answeredPlace,
            let vid = snapshot.egressVID(port: ingress, domain: domain)
        else { return }
        // The answer stays in its place until it is transmitted: not in the middle of adding it.
        if referenceCount == Worker.referenceCapacity { transmitAll() }
        let room = replies.room(replyCount)
        burst.frames[place].gather()
        guard
            case .reply(let byteCount) = TooBigReply.build(
                for: burst.frames[place].buffer, mtu: Int(maximum), into: room),
            let bytes = room.baseAddress, replyLimiters[Int(ingress)].admit(at: time)
        else { return }
        let frame = replies.frames + replyCount
        frame.initialize(to: Frame(bytes: bytes, byteCount: byteCount, offload: .none))
        replyCount += 1
        answeredPlace = place
        chain(frame, to: ingress, vid: vid, domain: domain)
    }
}

/// Room for the answers of one burst.
struct ReplyFrames {
    static let capacity = 16
    private static let stride = 2048

    let frames: UnsafeMutablePointer<Frame>
    private let memory: UnsafeMutableRawPointer

    init() {
        frames = .allocate(capacity: ReplyFrames.capacity)
        memory = .allocate(
            byteCount: ReplyFrames.capacity * ReplyFrames.stride, alignment: 64)
    }

    func deallocate() {
        frames.deallocate()
        memory.deallocate()
    }

    /// Where answer `place` goes; headroom lies before it.
    func room(_ place: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: memory + place * ReplyFrames.stride + SlotSize.headroom,
            count: ReplyFrames.stride - SlotSize.headroom)
    }
}
