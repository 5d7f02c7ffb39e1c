import Wire

// What the switch says to the sender of a packet that does not fit into a tunnel: ICMP "fragmentation
// needed" (RFC 1191 section 4) or ICMPv6 "packet too big" (RFC 4443 section 3.2).
//
// The switch has no address in a tenant's network, so the reply comes from whom the packet was to
// go to: Ethernet and IP addresses are swapped. It quotes the offending packet from its IP header
// on, as much as the standards let it: an IPv4 reply has at most 576 bytes (RFC 1812 section
// 4.3.2.3), an IPv6 reply at most 1280. Of a super-frame that is the start of its first segment;
// its partial checksum is quoted as it is, since nobody verifies it.
//
// No reply is made to what must not be answered: an ICMP error, a fragment other than the first, an
// address that does not name one host at either layer (RFC 1122 section 3.2.2, RFC 4443 section
// 2.4); nor to an IPv4 packet without DF, whose sender did not ask to be told. Such a packet is
// dropped, and counted, in silence.

/// Builds the reply to a packet that is too big.
package enum TooBigReply {
    package enum Outcome: Equatable, Sendable {
        /// The reply is in the buffer; its length as a frame.
        case reply(byteCount: Int)
        case noReply
    }

    /// The longest reply as a frame: room that the caller's buffer needs.
    package static let maximumByteCount = 14 + 1280

    private static let networkOffset = EthernetView.minimumByteCount
    private static let ipv4Limit = 576
    private static let ipv6Limit = 1280
    private static let icmpByteCount = 8

    /// Writes the reply to `frame`, a whole or a super-frame without a tag before its EtherType.
    ///
    /// - Parameters:
    ///   - mtu: the longest IP packet that fits, in bytes; for IPv6 at least 1280 is said, since
    ///     no host goes below (RFC 8200 section 5).
    ///   - reply: at least ``maximumByteCount`` bytes that do not overlap the frame.
    package static func build(
        for frame: UnsafeRawBufferPointer, mtu: Int, into reply: UnsafeMutableRawBufferPointer
    ) -> Outcome {
        precondition(reply.count >= maximumByteCount)
        guard let target = reply.baseAddress, let base = frame.baseAddress,
            let ethernet = EthernetView(frame.bytes), isStation(ethernet.source),
            isStation(ethernet.destination)
        else { return .noReply }
        let packet = frame.bytes.extracting(droppingFirst: networkOffset)
        let packetByteCount: Int
        switch ethernet.outerType {
        case .ipv4:
            guard let ip = IPv4View(packet), mayAnswer(ip) else { return .noReply }
            packetByteCount = buildIPv4(
                base + networkOffset, available: packet.byteCount, mtu: mtu,
                to: target + networkOffset)
        case .ipv6:
            guard let ip = IPv6View(packet), mayAnswer(ip) else { return .noReply }
            packetByteCount = buildIPv6(
                base + networkOffset, available: packet.byteCount, mtu: mtu,
                to: target + networkOffset)
        default:
            return .noReply
        }
        ethernet.source.store(to: target)
        ethernet.destination.store(to: target + 6)
        target.storeBigEndian(ethernet.outerType.rawValue, at: 12)
        return .reply(byteCount: networkOffset + packetByteCount)
    }

    private static func isStation(_ address: MACAddress) -> Bool {
        !address.isMulticast && !address.isZero
    }

    private static func mayAnswer(_ ip: IPv4View) -> Bool {
        guard ip.isFragmentationForbidden, ip.fragmentOffset == 0, isHost(ip.source),
            isHost(ip.destination)
        else { return false }
        guard ip.transportProtocol == .icmp else { return true }
        // Everything but queries and their replies (RFC 1122 section 3.2.2).
        guard ip.bytes.byteCount > ip.headerByteCount else { return false }
        switch ip.bytes.unsafeLoad(fromByteOffset: ip.headerByteCount, as: UInt8.self) {
        case 0, 8, 9, 10, 13...18: return true
        default: return false
        }
    }

    private static func mayAnswer(_ ip: IPv6View) -> Bool {
        guard isHost(ip.source), isHost(ip.destination), let transport = ip.transport(),
            !transport.isLaterFragment
        else { return false }
        guard transport.transportProtocol == .icmpv6 else { return true }
        guard ip.bytes.byteCount > transport.offset else { return false }
        // Errors have a type below 128; a redirect is as bad (section 2.4 (e)).
        let type = ip.bytes.unsafeLoad(fromByteOffset: transport.offset, as: UInt8.self)
        return type >= 128 && type != 137
    }

    /// Whether the address may be one host's: not a group's, not class E or the broadcast
    /// address, not "this network", not loopback.
    private static func isHost(_ address: IPv4Address) -> Bool {
        address.rawValue >> 28 < 0xE && address.rawValue >> 24 != 0 && !address.isLoopback
    }

    private static func isHost(_ address: IPv6Address) -> Bool {
        !address.isMulticast && !address.isUnspecified && !address.isLoopback
    }

    /// The reply's length as a packet.
    private static func buildIPv4(
        _ packet: UnsafeRawPointer, available: Int, mtu: Int, to reply: UnsafeMutableRawPointer
    ) -> Int {
        let headerByteCount = IPv4View.minimumByteCount
        let quoted = min(available, ipv4Limit - headerByteCount - icmpByteCount)
        let byteCount = headerByteCount + icmpByteCount + quoted
        // Precedence 6, as RFC 1812 section 4.3.2.5 wants of errors; DF, so that no identification
        // is needed.
        reply.storeBigEndian(UInt16(0x45C0), at: 0)
        reply.storeBigEndian(UInt16(truncatingIfNeeded: byteCount), at: 2)
        reply.storeBigEndian(UInt32(0x0000_4000), at: 4)
        reply.storeBigEndian(UInt16(0x4000) | UInt16(IPProtocol.icmp.rawValue), at: 8)
        reply.storeBigEndian(UInt16(0), at: 10)
        reply.storeBigEndian(packet.loadBigEndian(16, as: UInt32.self), at: 12)
        reply.storeBigEndian(packet.loadBigEndian(12, as: UInt32.self), at: 16)
        var header = InternetChecksum()
        header.add(UnsafeRawPointer(reply), byteCount: headerByteCount)
        reply.storeBigEndian(header.value, at: 10)

        let message = reply + headerByteCount
        message.storeBigEndian(UInt32(0x0304_0000), at: 0)
        message.storeBigEndian(UInt32(UInt16(clamping: mtu)), at: 4)
        var sum = InternetChecksum()
        sum.add(UnsafeRawPointer(message), byteCount: icmpByteCount)
        sum.addCopying(from: packet, to: message + icmpByteCount, byteCount: quoted)
        message.storeBigEndian(sum.value, at: 2)
        return byteCount
    }

    private static func buildIPv6(
        _ packet: UnsafeRawPointer, available: Int, mtu: Int, to reply: UnsafeMutableRawPointer
    ) -> Int {
        let headerByteCount = IPv6View.headerByteCount
        let quoted = min(available, ipv6Limit - headerByteCount - icmpByteCount)
        let messageByteCount = icmpByteCount + quoted
        reply.storeBigEndian(UInt32(0x6000_0000), at: 0)
        reply.storeBigEndian(UInt16(truncatingIfNeeded: messageByteCount), at: 4)
        reply.storeBigEndian(UInt16(IPProtocol.icmpv6.rawValue) << 8 | 64, at: 6)
        (reply + 8).copyMemory(from: packet + 24, byteCount: 16)
        (reply + 24).copyMemory(from: packet + 8, byteCount: 16)

        let message = reply + headerByteCount
        message.storeBigEndian(UInt32(0x0200_0000), at: 0)
        message.storeBigEndian(UInt32(clamping: max(mtu, ipv6Limit)), at: 4)
        var sum = InternetChecksum.pseudoHeader(
            ipv6: reply, transportProtocol: .icmpv6, byteCount: messageByteCount)
        sum.add(UnsafeRawPointer(message), byteCount: icmpByteCount)
        sum.addCopying(from: packet, to: message + icmpByteCount, byteCount: quoted)
        message.storeBigEndian(sum.value, at: 2)
        return headerByteCount + messageByteCount
    }
}

/// A token bucket for replies (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)): whoever sends
/// too large packets at line rate is not answered at line rate. One per port.
package struct ReplyLimiter {
    private let intervalNanoseconds: UInt64
    private let burstNanoseconds: UInt64
    /// The bucket as a time: when it will be full. Each reply moves it by one interval.
    private var fullAt: UInt64 = 0

    /// - Parameters:
    ///   - perSecond: replies in the long run, 1 to 1,000,000,000.
    ///   - burst: replies at once after a silence, at least 1.
    package init(perSecond: UInt64 = 100, burst: UInt64 = 50) {
        precondition(perSecond > 0 && perSecond <= 1_000_000_000 && burst > 0)
        intervalNanoseconds = 1_000_000_000 / perSecond
        burstNanoseconds = burst * intervalNanoseconds
    }

    /// Whether a reply may be sent now, which counts as sent then.
    ///
    /// - Parameter nanoseconds: the burst's reading of the monotonic clock.
    package mutating func admit(at nanoseconds: UInt64) -> Bool {
        let next = max(fullAt, nanoseconds) + intervalNanoseconds
        guard next - nanoseconds <= burstNanoseconds else { return false }
        fullAt = next
        return true
    }
}
