// The inner frame of a probe between two tunnel ends: a BFD control packet as RFC 8971 lays it out.
//
//     Ethernet   to 00:00:5e:00:52:02, which IANA has set aside for this (section 9)
//     IP         to 127.0.0.1, or ::ffff:127.0.0.1 in IPv6 (section 4), so that a packet which
//                gets astray is nobody's; from the sending end's underlay address; TTL 255
//     UDP        to port 3784, from 49152 or higher (RFC 5881 section 4)
//     BFD        24 bytes
//
// A receiver takes exactly this for a probe and everything else for a tenant's frame. It answers
// nothing by itself, so that it does not matter to it who may send what: sessions decide that.

/// Builds and recognises the frames that probe a tunnel.
public enum OverlayProbe {
    /// The destination of every probe.
    public static var destinationMAC: MACAddress { MACAddress(rawValue: 0x0000_5E00_5202) }
    /// BFD's port for single-hop sessions (RFC 5881 section 4).
    public static var destinationPort: UInt16 { 3784 }
    /// The source ports that RFC 5881 section 4 allows; one should belong to one session.
    public static var sourcePorts: ClosedRange<UInt16> { 49152...65535 }
    /// The longest frame that ``build(_:fromMAC:source:sourcePort:to:)`` writes.
    public static var maximumByteCount: Int { 14 + 40 + 8 + BFDControl.byteCount }

    private static var loopback: IPv4Address { IPv4Address(127, 0, 0, 1) }

    /// Writes the frame, of ``maximumByteCount`` bytes at most, which the caller guarantees to be
    /// writable; returns its length. All checksums are complete.
    public static func build(
        _ control: BFDControl, fromMAC sourceMAC: MACAddress, source: IPAddress,
        sourcePort: UInt16, to frame: UnsafeMutableRawPointer
    ) -> Int {
        destinationMAC.store(to: frame)
        sourceMAC.store(to: frame + 6)
        let packet = frame + 14
        let datagramByteCount = UDPView.headerByteCount + BFDControl.byteCount
        let datagram: UnsafeMutableRawPointer
        var sum: InternetChecksum
        switch source {
        case .v4(let address):
            frame.storeBigEndian(EtherType.ipv4.rawValue, at: 12)
            writeIPv4(from: address, payloadByteCount: datagramByteCount, to: packet)
            datagram = packet + IPv4View.minimumByteCount
            sum = .pseudoHeader(
                ipv4: packet, transportProtocol: .udp, byteCount: datagramByteCount)
        case .v6(let address):
            frame.storeBigEndian(EtherType.ipv6.rawValue, at: 12)
            writeIPv6(from: address, payloadByteCount: datagramByteCount, to: packet)
            datagram = packet + IPv6View.headerByteCount
            sum = .pseudoHeader(
                ipv6: packet, transportProtocol: .udp, byteCount: datagramByteCount)
        }
        datagram.storeBigEndian(sourcePort, at: 0)
        datagram.storeBigEndian(destinationPort, at: 2)
        datagram.storeBigEndian(UInt16(truncatingIfNeeded: datagramByteCount), at: 4)
        datagram.storeBigEndian(UInt16(0), at: 6)
        control.write(to: datagram + UDPView.headerByteCount)
        sum.add(UnsafeRawPointer(datagram), byteCount: datagramByteCount)
        datagram.storeBigEndian(sum.value == 0 ? 0xFFFF : sum.value, at: 6)
        return datagram + datagramByteCount - frame
    }

    /// Whether the frame is addressed to a tunnel's end and not to a tenant.
    @inlinable @inline(__always)
    public static func isAddressed(_ frame: EthernetView) -> Bool {
        frame.destination.rawValue == 0x0000_5E00_5202
    }

    /// The BFD packet of an inner frame; nil when it is no probe, or a broken one.
    public static func parse(_ frame: RawSpan) -> BFDControl? {
        guard let ethernet = EthernetView(frame), isAddressed(ethernet) else { return nil }
        switch ethernet.outerType {
        case .ipv4:
            guard let ip = IPv4View(ethernet.payload), !ip.isTruncated, !ip.isFragment,
                ip.timeToLive == 255, ip.transportProtocol == .udp, ip.destination.isLoopback,
                ip.hasValidHeaderChecksum
            else { return nil }
            let payload = ip.payload
            let sum = ip.bytes.withUnsafeBytes {
                // The view has guarded the 20 bytes.
                InternetChecksum.pseudoHeader(
                    ipv4: $0.baseAddress.unsafelyUnwrapped, transportProtocol: .udp,
                    byteCount: payload.byteCount)
            }
            return parse(datagram: payload, sum: sum, allowsZeroChecksum: true)
        case .ipv6:
            guard let ip = IPv6View(ethernet.payload), !ip.isTruncated, ip.hopLimit == 255,
                ip.nextHeader == .udp, ip.destination.isIPv4Mapped,
                IPv4Address(rawValue: UInt32(truncatingIfNeeded: ip.destination.low)).isLoopback
            else { return nil }
            let payload = ip.payload
            let sum = ip.bytes.withUnsafeBytes {
                // The view has guarded the 40 bytes.
                InternetChecksum.pseudoHeader(
                    ipv6: $0.baseAddress.unsafelyUnwrapped, transportProtocol: .udp,
                    byteCount: payload.byteCount)
            }
            return parse(datagram: payload, sum: sum, allowsZeroChecksum: false)
        default:
            return nil
        }
    }

    private static func parse(
        datagram: RawSpan, sum: InternetChecksum, allowsZeroChecksum: Bool
    ) -> BFDControl? {
        guard let udp = UDPView(datagram), udp.totalByteCount == datagram.byteCount,
            udp.destinationPort == destinationPort, sourcePorts.contains(udp.sourcePort)
        else { return nil }
        if udp.checksum != 0 {
            var sum = sum
            sum.add(datagram)
            guard sum.value == 0 else { return nil }
        } else if !allowsZeroChecksum {
            return nil
        }
        return BFDControl(udp.payload)
    }

    private static func writeIPv4(
        from source: IPv4Address, payloadByteCount: Int, to packet: UnsafeMutableRawPointer
    ) {
        let byteCount = IPv4View.minimumByteCount
        // DSCP CS6, as routing protocols use (RFC 4594 section 3.1); DF.
        packet.storeBigEndian(UInt16(0x45C0), at: 0)
        packet.storeBigEndian(UInt16(truncatingIfNeeded: byteCount + payloadByteCount), at: 2)
        packet.storeBigEndian(UInt32(0x0000_4000), at: 4)
        packet.storeBigEndian(UInt16(0xFF00) | UInt16(IPProtocol.udp.rawValue), at: 8)
        packet.storeBigEndian(UInt16(0), at: 10)
        packet.storeBigEndian(source.rawValue, at: 12)
        packet.storeBigEndian(loopback.rawValue, at: 16)
        var sum = InternetChecksum()
        sum.add(UnsafeRawPointer(packet), byteCount: byteCount)
        packet.storeBigEndian(sum.value, at: 10)
    }

    private static func writeIPv6(
        from source: IPv6Address, payloadByteCount: Int, to packet: UnsafeMutableRawPointer
    ) {
        packet.storeBigEndian(UInt32(0x6C00_0000), at: 0)
        packet.storeBigEndian(UInt16(truncatingIfNeeded: payloadByteCount), at: 4)
        packet.storeBigEndian(UInt16(IPProtocol.udp.rawValue) << 8 | 255, at: 6)
        packet.storeBigEndian(source.high, at: 8)
        packet.storeBigEndian(source.low, at: 16)
        packet.storeBigEndian(UInt64(0), at: 24)
        packet.storeBigEndian(0x0000_FFFF_0000_0000 | UInt64(loopback.rawValue), at: 32)
    }
}
