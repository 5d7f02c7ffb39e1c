import Wire

/// Builds frames for tests, outermost header first, with right lengths and checksums:
///
///     FrameBuilder(from: a, to: b).tagged(10).ipv4().udp(payload: [1, 2, 3])
///
/// The last call gives the bytes. Nothing is padded to the Ethernet minimum.
package struct FrameBuilder {
    private enum Network {
        case none
        case ipv4(IPv4Address, IPv4Address, timeToLive: UInt8, identification: UInt16, [UInt8])
        case ipv6(IPv6Address, IPv6Address, hopLimit: UInt8, extensions: [(IPProtocol, [UInt8])])
    }

    private let source: MACAddress
    private let destination: MACAddress
    private var tags: [VLANTag] = []
    private var network = Network.none

    package init(
        from source: MACAddress = MACAddress(rawValue: 0x0200_0000_0001),
        to destination: MACAddress = MACAddress(rawValue: 0x0200_0000_0002)
    ) {
        self.source = source
        self.destination = destination
    }

    /// Adds a tag inside the ones that are there.
    package func tagged(
        _ rawID: UInt16, priority: UInt8 = 0, tpid: EtherType = .customerTag
    ) -> FrameBuilder {
        var builder = self
        builder.tags.append(
            VLANTag(tpid: tpid, tci: UInt16(priority) << 13 | rawID & 0x0FFF))
        return builder
    }

    /// `options` must be a multiple of four bytes, at most 40.
    package func ipv4(
        from source: IPv4Address = IPv4Address(10, 0, 0, 1),
        to destination: IPv4Address = IPv4Address(10, 0, 0, 2),
        timeToLive: UInt8 = 64, identification: UInt16 = 0, options: [UInt8] = []
    ) -> FrameBuilder {
        var builder = self
        builder.network = .ipv4(
            source, destination, timeToLive: timeToLive, identification: identification, options)
        return builder
    }

    /// Each extension header is given whole except for its first byte, the next header, which is
    /// filled in.
    package func ipv6(
        from source: IPv6Address = IPv6Address(high: 0x2001_0DB8_0000_0000, low: 1),
        to destination: IPv6Address = IPv6Address(high: 0x2001_0DB8_0000_0000, low: 2),
        hopLimit: UInt8 = 64, extensions: [(IPProtocol, [UInt8])] = []
    ) -> FrameBuilder {
        var builder = self
        builder.network = .ipv6(source, destination, hopLimit: hopLimit, extensions: extensions)
        return builder
    }

    /// With `isPartial` the checksum field holds the pseudo header's sum only, as a guest leaves
    /// it that expects its device to finish the checksum.
    package func tcp(
        from sourcePort: UInt16 = 1000, to destinationPort: UInt16 = 2000,
        sequence: UInt32 = 0x1000_0000, acknowledgment: UInt32 = 0, flags: TCPFlags = .ack,
        options: [UInt8] = [], payload: [UInt8] = [], isPartial: Bool = false
    ) -> [UInt8] {
        precondition(options.count.isMultiple(of: 4) && options.count <= 40)
        var segment = sourcePort.octets + destinationPort.octets
        segment += sequence.octets + acknowledgment.octets
        segment += [UInt8((20 + options.count) / 4) << 4, flags.rawValue]
        segment += [0xFF, 0xFF, 0, 0, 0, 0] + options + payload
        return packet(.tcp, segment, checksumOffset: 16, isPartial: isPartial)
    }

    /// `isPartial` as for TCP.
    package func udp(
        from sourcePort: UInt16 = 1000, to destinationPort: UInt16 = 2000,
        payload: [UInt8] = [], isPartial: Bool = false
    ) -> [UInt8] {
        var datagram = sourcePort.octets + destinationPort.octets
        datagram += UInt16(truncatingIfNeeded: 8 + payload.count).octets + [0, 0] + payload
        return packet(.udp, datagram, checksumOffset: 6, isPartial: isPartial)
    }

    /// An echo request or reply, ICMP or ICMPv6 as the packet is.
    package func icmpEcho(
        isReply: Bool = false, identifier: UInt16 = 1, sequence: UInt16 = 1, payload: [UInt8] = []
    ) -> [UInt8] {
        var transportProtocol = IPProtocol.icmp
        var type: UInt8 = isReply ? 0 : 8
        if case .ipv6 = network {
            transportProtocol = .icmpv6
            type = isReply ? 129 : 128
        }
        let message = [type, 0, 0, 0] + identifier.octets + sequence.octets + payload
        return packet(transportProtocol, message, checksumOffset: 2, isPartial: false)
    }

    package func arpRequest(
        from senderIP: IPv4Address = IPv4Address(10, 0, 0, 1),
        for targetIP: IPv4Address = IPv4Address(10, 0, 0, 2)
    ) -> [UInt8] {
        arp(operation: 1, senderIP, MACAddress.zero, targetIP)
    }

    package func arpReply(
        from senderIP: IPv4Address = IPv4Address(10, 0, 0, 2),
        to targetIP: IPv4Address = IPv4Address(10, 0, 0, 1)
    ) -> [UInt8] {
        arp(operation: 2, senderIP, destination, targetIP)
    }

    private func arp(
        operation: UInt16, _ senderIP: IPv4Address, _ targetMAC: MACAddress,
        _ targetIP: IPv4Address
    ) -> [UInt8] {
        var packet: [UInt8] = [0, 1, 8, 0, 6, 4] + operation.octets
        packet += source.octets + senderIP.octets + targetMAC.octets + targetIP.octets
        return frame(.arp, packet)
    }

    /// The Ethernet header and tags before any payload.
    package func frame(_ etherType: EtherType, _ payload: [UInt8] = []) -> [UInt8] {
        var bytes = destination.octets + source.octets
        for tag in tags { bytes += tag.tpid.rawValue.octets + tag.tci.octets }
        return bytes + etherType.rawValue.octets + payload
    }

    /// The IP header before `transport`, whose checksum goes to `checksumOffset`; nil leaves it.
    package func packet(
        _ transportProtocol: IPProtocol, _ transport: [UInt8], checksumOffset: Int?,
        isPartial: Bool = false
    ) -> [UInt8] {
        let etherType: EtherType
        var header: [UInt8]
        var pseudo: InternetChecksum
        switch network {
        case .none:
            preconditionFailure("say ipv4() or ipv6() before the transport")
        case .ipv4(let source, let destination, let timeToLive, let identification, let options):
            etherType = .ipv4
            let headerByteCount = 20 + options.count
            let total = headerByteCount + transport.count
            header = [0x40 | UInt8(headerByteCount / 4), 0]
            header += UInt16(truncatingIfNeeded: total).octets + identification.octets
            header += [0x40, 0, timeToLive, transportProtocol.rawValue, 0, 0]
            header += source.octets + destination.octets + options
            header.replaceSubrange(10..<12, with: checksum(of: header).value.octets)
            pseudo = header.withUnsafeBytes {
                .pseudoHeader(
                    ipv4: $0.baseAddress!, transportProtocol: transportProtocol,
                    byteCount: transport.count)
            }
        case .ipv6(let source, let destination, let hopLimit, let extensions):
            etherType = .ipv6
            let chain = extensions.map(\.0) + [transportProtocol]
            let total = extensions.reduce(transport.count) { $0 + $1.1.count }
            header = [0x60, 0, 0, 0] + UInt16(truncatingIfNeeded: total).octets
            header += [chain[0].rawValue, hopLimit] + source.octets + destination.octets
            pseudo = header.withUnsafeBytes {
                .pseudoHeader(
                    ipv6: $0.baseAddress!, transportProtocol: transportProtocol,
                    byteCount: transport.count)
            }
            for (index, (kind, bytes)) in extensions.enumerated() {
                precondition(kind != .noNextHeader && !bytes.isEmpty)
                header += [chain[index + 1].rawValue] + bytes.dropFirst()
            }
        }
        var transport = transport
        if let checksumOffset {
            // ICMP for IPv4 alone has no pseudo header.
            var sum = transportProtocol == .icmp ? InternetChecksum() : pseudo
            var field = sum.folded
            if !isPartial {
                transport.withUnsafeBytes { sum.add($0) }
                field = sum.value
                if transportProtocol == .udp, field == 0 { field = 0xFFFF }
            }
            transport.replaceSubrange(checksumOffset..<checksumOffset + 2, with: field.octets)
        }
        return frame(etherType, header + transport)
    }

    private func checksum(of bytes: [UInt8]) -> InternetChecksum {
        var sum = InternetChecksum()
        bytes.withUnsafeBytes { sum.add($0) }
        return sum
    }
}

extension FixedWidthInteger {
    /// The bytes of the number in network order.
    package var octets: [UInt8] {
        stride(from: Self.bitWidth - 8, through: 0, by: -8).map {
            UInt8(truncatingIfNeeded: self >> Self($0))
        }
    }
}

extension MACAddress {
    /// The six octets of the address.
    package var octets: [UInt8] { Array(rawValue.octets.dropFirst(2)) }
}
