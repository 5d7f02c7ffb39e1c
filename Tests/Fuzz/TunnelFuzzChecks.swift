// What must hold of everything that comes out, worked out from the configuration alone.
//
// A frame on its way while the configuration changes may leave by the old one or the new one, but
// always by a port that is in its network then.

/// A frame that went into a port.
struct SentFrame {
    let bytes: [UInt8]
    let isHonest: Bool
    let ingress: PortConfiguration
    let copies: Int
    let wasTooBig: Bool
    /// Whether the configuration has changed since it was decided.
    var isOvertaken = false
}

/// A frame that arrived by a tunnel and may come out.
struct Arrived {
    let domain: UInt16
    /// Without the tag of VID 0, if it had one: at least an Ethernet header.
    let canonical: ArraySlice<UInt8>
}

extension TunnelFuzzLab {
    private static func split(
        _ bytes: ArraySlice<UInt8>
    ) -> (canonical: ArraySlice<UInt8>, tci: UInt16?)? {
        ReferenceModel.split(bytes).map { ($0.canonical[...], $0.tci) }
    }

    private func takeAll(_ visit: (PortConfiguration, [UInt8], Offload) -> Void) {
        for (number, kinds) in attachments.enumerated() {
            for attachment in kinds {
                while let (bytes, offload) = attachment.take() {
                    guard
                        let port = configuration.ports.first(where: {
                            $0.number == UInt16(number) && $0.port === attachment
                        })
                    else { preconditionFailure("out of a port that is gone") }
                    precondition(port.isUp, "out of a port that is down")
                    visit(port, bytes, offload)
                }
            }
        }
    }

    // MARK: Of a port's frame

    func checkOutputs(of sent: SentFrame) {
        let original = TunnelFuzzLab.split(sent.bytes[...])
        let domain = original.flatMap { ReferenceModel.domain(tci: $0.tci, at: sent.ingress) }
        takeAll { port, bytes, offload in
            guard let original, let domain, let result = TunnelFuzzLab.split(bytes[...]) else {
                preconditionFailure("a frame came out that had no domain")
            }
            let (untagged, tagged) = ReferenceModel.memberships(port)
            precondition(untagged == domain || tagged.contains(domain), "no member")
            if port.number == sent.ingress.number {
                precondition(sent.wasTooBig, "out of the port it came from")
                checkReply(result.canonical, to: original.canonical)
                return
            }
            precondition(
                sent.isOvertaken || !(sent.ingress.isIsolated && port.isIsolated),
                "between isolated ports")
            precondition(result.canonical[..<12] == original.canonical[..<12])
            if untagged != domain {
                precondition(
                    result.tci == (original.tci ?? 0) & 0xF000 | domain * 10, "the wrong tag")
            }
            precondition(!offload.needsChecksum || port.port.offloads.contains(.checksum))
            precondition(!offload.isGSO || port.port.offloads.accepts(offload))
            if sent.isHonest, !offload.isPending { _ = FuzzPacket.verify(result.canonical) }
        }
        var data: [UInt16: Int] = [:]
        for (place, underlay) in sockets.joined().enumerated() {
            for datagram in underlay.sent {
                guard let original, let domain else {
                    preconditionFailure("a datagram left for a frame that had no domain")
                }
                let tunnel = check(datagram, place / 2, domain, original.canonical)
                if sent.isHonest {
                    data[tunnel, default: 0] += FuzzPacket.verify(datagram.bytes.dropFirst(8))
                }
            }
            underlay.sent = []
        }
        guard sent.isHonest, let original else { return }
        // All of a copy's payload or nothing, and no copy twice: a handover may find no room, and the
        // first of several may teach the switch that the others need not go.
        let byteCount = original.canonical.count - TunnelFuzzLab.payloadOffset(original.canonical)
        for (_, count) in data where count > 0 {
            precondition(
                count % byteCount == 0 && count <= sent.copies * byteCount,
                "payload got lost or came twice")
        }
    }

    private static func payloadOffset(_ frame: ArraySlice<UInt8>) -> Int {
        let isIPv6 = frame[12] == 0x86
        let transport = isIPv6 ? 54 : 34
        return transport + (frame[isIPv6 ? 20 : 23] == 6 ? Int(frame[transport + 12] >> 4) * 4 : 8)
    }

    /// A datagram of a frame of `domain`; returns its tunnel.
    private func check(
        _ datagram: FuzzUnderlay.Datagram, _ place: Int, _ domain: UInt16,
        _ original: ArraySlice<UInt8>
    ) -> UInt16 {
        guard
            let tunnel = configuration.tunnels.first(where: {
                $0.underlay == TunnelFuzzLab.underlayNumbers[place]
                    && $0.remote == datagram.destination
            })
        else { preconditionFailure("to nobody") }
        precondition(tunnel.isUp, "by a tunnel that is down")
        precondition(tunnel.domains.contains(domain), "to a host that has no part in it")
        guard datagram.bytes.count >= 22, let vni = TunnelFuzzLab.vni(datagram.bytes, tunnel),
            configuration.domains.contains(where: { $0.number == domain && $0.vni == vni })
        else { preconditionFailure("another network's VNI, or no header") }
        let frame = datagram.bytes.dropFirst(8)
        precondition(frame.prefix(12).elementsEqual(original.prefix(12)))
        precondition(
            frame.count - 14 <= Int(tunnel.maximumPacketByteCount), "does not fit the tunnel")
        return tunnel.number
    }

    /// The header, octet by octet as the standards draw it; nil when it is another.
    private static func vni(_ bytes: ArraySlice<UInt8>, _ tunnel: TunnelConfiguration) -> UInt32? {
        let header = Array(bytes.prefix(8))
        let high = header[4...].prefix(3).reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
        switch tunnel.encapsulation {
        case .vxlan:
            return header[..<4] == [8, 0, 0, 0] && header[7] == 0 ? high : nil
        case .geneve:
            return header[..<4] == [0, 0, 0x65, 0x58] && header[7] == 0 ? high : nil
        case .gre:
            return header[..<4] == [0x20, 0, 0x65, 0x58] ? high << 8 | UInt32(header[7]) : nil
        case .nvgre:
            return header[..<4] == [0x20, 0, 0x65, 0x58] ? high : nil
        }
    }

    /// The answer to a packet that was too big: from whom it was for, to whom it was from.
    private func checkReply(_ reply: ArraySlice<UInt8>, to original: ArraySlice<UInt8>) {
        let reply = Array(reply)
        precondition(reply[..<6] == original[6..<12] && reply[6..<12] == original[..<6])
        precondition(reply[12...13] == original[12...13])
        let isIPv6 = reply[12] == 0x86
        let icmp = isIPv6 ? 54 : 34
        precondition(reply[isIPv6 ? 20 : 23] == (isIPv6 ? 58 : 1))
        precondition(reply[icmp] == (isIPv6 ? 2 : 3) && reply[icmp + 1] == (isIPv6 ? 0 : 4))
        precondition(reply.count <= 14 + (isIPv6 ? 1280 : 576))
        // Behind the addresses there may be an MSS that another tunnel lowered, and its checksum.
        let quoted = original[14...].prefix(min(reply.count - icmp - 8, isIPv6 ? 40 : 20))
        precondition(
            reply[(icmp + 8)...].prefix(quoted.count).elementsEqual(quoted),
            "it quotes something else")
        var sum = InternetChecksum()
        reply.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            if isIPv6 {
                sum = .pseudoHeader(
                    ipv6: base + 14, transportProtocol: .icmpv6, byteCount: bytes.count - icmp)
            }
            sum.add(base + icmp, byteCount: bytes.count - icmp)
        }
        precondition(sum.value == 0, "the checksum")
    }

    // MARK: Of datagrams

    /// What a message may bring into the switch.
    func read(_ message: FuzzUnderlay.Arrival, of underlay: UnderlayConfiguration) -> [Arrived] {
        guard !message.isTruncated, message.segmentByteCount > 0,
            let tunnel = configuration.tunnels.first(where: {
                $0.underlay == underlay.number && $0.remote == message.source
            })
        else { return [] }
        var result: [Arrived] = []
        var start = 0
        while start < message.bytes.count {
            let end = start + min(message.segmentByteCount, message.bytes.count - start)
            let datagram = message.bytes[start..<end]
            start = end
            let reading = datagram.withUnsafeBytes { tunnel.encapsulation.read($0) }
            guard case .frame(let vni, let headerByteCount) = reading, vni != 0,
                let domain = configuration.domains.first(where: { $0.vni == vni })?.number,
                tunnel.domains.contains(domain),
                let frame = TunnelFuzzLab.split(datagram.dropFirst(headerByteCount)),
                (frame.tci ?? 0) & 0xFFF == 0
            else { continue }
            result.append(Arrived(domain: domain, canonical: frame.canonical.prefix(14)))
        }
        return result
    }

    func checkOutputs(of arrived: [Arrived]) {
        for underlay in sockets.joined() {
            precondition(underlay.sent.isEmpty, "from a tunnel by a tunnel")
        }
        takeAll { port, bytes, offload in
            let (untagged, tagged) = ReferenceModel.memberships(port)
            let isExplained = arrived.contains { frame in
                if untagged == frame.domain {
                    return bytes.prefix(14).elementsEqual(frame.canonical)
                }
                return tagged.contains(frame.domain) && bytes.count >= 18
                    && bytes[..<12] == frame.canonical.prefix(12) && bytes[12] == 0x81
                    && (UInt16(bytes[14]) << 8 | UInt16(bytes[15])) & 0xFFF == frame.domain * 10
            }
            precondition(isExplained, "a frame of another network, or of none")
            precondition(!offload.needsChecksum || port.port.offloads.contains(.checksum))
            precondition(!offload.isGSO || port.port.offloads.accepts(offload))
        }
    }

    // MARK: Counters

    func checkCounters() {
        for number in 0..<TunnelFuzzLab.numberCount {
            var ingress: UInt64 = 0
            var egress: UInt64 = 0
            for reason in DropReason.allCases {
                let count = fabric.value(reason, port: number)
                if reason.isEgress { egress += count } else { ingress += count }
            }
            precondition(
                fabric.value(.received, port: number)
                    == fabric.value(.forwarded, port: number) + fabric.value(.flooded, port: number)
                    + fabric.value(.consumed, port: number) + ingress, "lost at ingress")
            precondition(
                fabric.value(.copies, port: number)
                    == fabric.value(.transmitted, port: number) + egress, "lost at egress")
        }
        for domain in 1...UInt16(4) {
            var ingress: UInt64 = 0
            var egress: UInt64 = 0
            for reason in DropReason.allCases {
                let count = fabric.value(reason, domain: domain)
                if reason.isEgress { egress += count } else { ingress += count }
            }
            precondition(
                fabric.value(.received, domain: domain)
                    == fabric.value(.forwarded, domain: domain)
                    + fabric.value(.flooded, domain: domain) + ingress, "lost in a domain")
            precondition(
                fabric.value(.copies, domain: domain)
                    == fabric.value(.transmitted, domain: domain) + egress, "lost from a domain")
        }
    }
}
