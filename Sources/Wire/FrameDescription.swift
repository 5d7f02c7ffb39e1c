// A frame in words: one line for a list, one line per header for a close look.
//
// Works outwards in, one header at a time, and stops where it knows no more. Anything may be in
// the frame: what does not parse is named as such with the bytes that are left. Not for the hot
// path; it builds strings.

/// What a frame says, header by header.
public struct FrameDescription: Sendable {
    /// One header.
    public struct Layer: Sendable {
        /// `Ethernet`, `VLAN`, `IPv4`, …
        public var name: String
        /// The header's part of the one-line form; empty when it has none.
        public var summary: String
        /// The fields in order, as name and value.
        public var fields: [Field]

        init(_ name: String, _ summary: String, _ fields: [Field]) {
            self.name = name
            self.summary = summary
            self.fields = fields
        }
    }

    /// One field of a header.
    public struct Field: Sendable, Equatable {
        public var name: String
        public var value: String

        init(_ name: String, _ value: some CustomStringConvertible) {
            self.name = name
            self.value = value.description
        }
    }

    /// Outermost first.
    public private(set) var layers: [Layer] = []

    /// The frame's length, without FCS.
    public let byteCount: Int

    /// Tags that are taken apart at most.
    private static let tagLimit = 4

    public init(_ frame: RawSpan) {
        byteCount = frame.byteCount
        guard let ethernet = EthernetView(frame) else {
            layers.append(Layer("Ethernet", "truncated Ethernet header", []))
            return
        }
        layers.append(
            Layer(
                "Ethernet", "\(ethernet.source) > \(ethernet.destination)",
                [
                    Field("destination", ethernet.destination),
                    Field("source", ethernet.source),
                    Field("type", Self.described(ethernet.outerType)),
                ]))
        var etherType = ethernet.outerType
        var offset = 14
        var tagCount = 0
        while etherType.isVLANTag, tagCount < Self.tagLimit {
            guard frame.byteCount >= offset + 4 else {
                layers.append(Layer("VLAN", "truncated VLAN tag", []))
                return
            }
            let tag = VLANTag(tpid: etherType, tci: frame.loadBigEndian(offset))
            etherType = EtherType(rawValue: frame.loadBigEndian(offset + 2))
            layers.append(
                Layer(
                    "VLAN", tag.description,
                    [
                        Field("vid", tag.rawID), Field("pcp", tag.priority),
                        Field("dei", tag.isDropEligible ? 1 : 0),
                        Field("type", Self.described(etherType)),
                    ]))
            offset += 4
            tagCount += 1
        }
        let payload = frame.extracting(droppingFirst: offset)
        switch etherType {
        case .arp: appendARP(payload)
        case .ipv4: appendIPv4(payload)
        case .ipv6: appendIPv6(payload)
        default: appendPayload(payload, as: etherType.description)
        }
    }

    /// The frame on one line: addresses, tags, protocol and length.
    public var summary: String {
        let parts = layers.map(\.summary).filter { !$0.isEmpty } + ["\(byteCount) bytes"]
        return parts.joined(separator: ", ")
    }

    /// One line per header with every field.
    public var lines: [String] {
        layers.map { layer in
            let fields = layer.fields.map { "\($0.name) \($0.value)" }.joined(separator: "  ")
            let text = fields.isEmpty ? layer.summary : fields
            let padding = String(repeating: " ", count: max(1, 10 - layer.name.count))
            return text.isEmpty ? layer.name : layer.name + padding + text
        }
    }

    private static func described(_ type: EtherType) -> String {
        type.isLength
            ? "length \(type.rawValue)"
            : "\(hexText(type.rawValue, digitCount: 4)) \(type)"
    }

    private mutating func appendPayload(_ bytes: RawSpan, as name: String) {
        layers.append(Layer(name, name, [Field("payload", "\(bytes.byteCount) bytes")]))
    }

    private mutating func appendARP(_ bytes: RawSpan) {
        guard let arp = ARPView(bytes) else {
            layers.append(Layer("ARP", "ARP, not Ethernet and IPv4 or truncated", []))
            return
        }
        let summary =
            switch arp.operation {
            case 1 where arp.senderIP == arp.targetIP: "ARP announcement of \(arp.senderIP)"
            case 1: "ARP who has \(arp.targetIP) tell \(arp.senderIP)"
            case 2: "ARP \(arp.senderIP) is at \(arp.senderMAC)"
            default: "ARP operation \(arp.operation)"
            }
        layers.append(
            Layer(
                "ARP", summary,
                [
                    Field("operation", arp.operation),
                    Field("sender", "\(arp.senderMAC) \(arp.senderIP)"),
                    Field("target", "\(arp.targetMAC) \(arp.targetIP)"),
                ]))
    }

    private mutating func appendIPv4(_ bytes: RawSpan) {
        guard let ip = IPv4View(bytes) else {
            layers.append(Layer("IPv4", "malformed IPv4 header", []))
            return
        }
        var fields = [
            Field("source", ip.source), Field("destination", ip.destination),
            Field("length", ip.totalByteCount), Field("id", ip.identification),
            Field("ttl", ip.timeToLive), Field("protocol", ip.transportProtocol),
            Field("checksum", hexText(ip.headerChecksum, digitCount: 4)),
        ]
        if ip.trafficClass != 0 {
            fields.append(Field("tos", hexText(ip.trafficClass, digitCount: 2)))
        }
        if ip.isFragmentationForbidden { fields.append(Field("flags", "DF")) }
        if !ip.hasValidHeaderChecksum { fields.append(Field("error", "wrong header checksum")) }
        if ip.isTruncated { fields.append(Field("error", "length does not fit the frame")) }
        layers.append(Layer("IPv4", "IPv4 \(ip.source) > \(ip.destination)", fields))
        if ip.isFragment {
            let more = ip.hasMoreFragments ? "+" : ""
            appendFragment(ip.payload, ip.transportProtocol, "\(ip.fragmentOffset)\(more)")
        } else {
            appendTransport(ip.payload, ip.transportProtocol)
        }
    }

    private mutating func appendIPv6(_ bytes: RawSpan) {
        guard let ip = IPv6View(bytes) else {
            layers.append(Layer("IPv6", "malformed IPv6 header", []))
            return
        }
        var fields = [
            Field("source", ip.source), Field("destination", ip.destination),
            Field("length", ip.payloadByteCount), Field("hop-limit", ip.hopLimit),
            Field("next", ip.nextHeader),
        ]
        if ip.trafficClass != 0 {
            fields.append(Field("class", hexText(ip.trafficClass, digitCount: 2)))
        }
        if ip.flowLabel != 0 { fields.append(Field("flow", hexText(ip.flowLabel, digitCount: 5))) }
        if ip.isTruncated { fields.append(Field("error", "length does not fit the frame")) }
        layers.append(Layer("IPv6", "IPv6 \(ip.source) > \(ip.destination)", fields))

        let end = 40 + ip.payload.byteCount
        guard let packet = IPv6View(bytes.extracting(0..<end)), let transport = packet.transport()
        else {
            layers.append(Layer("IPv6", "malformed extension headers", []))
            return
        }
        let payload = packet.bytes.extracting(droppingFirst: transport.offset)
        if transport.isFragment {
            let position = transport.isLaterFragment ? "later" : "first"
            appendFragment(payload, transport.transportProtocol, position)
        } else {
            appendTransport(payload, transport.transportProtocol)
        }
    }

    private mutating func appendFragment(
        _ bytes: RawSpan, _ transportProtocol: IPProtocol, _ position: String
    ) {
        layers.append(
            Layer(
                "Fragment", "\(transportProtocol) fragment \(position)",
                [
                    Field("protocol", transportProtocol), Field("offset", position),
                    Field("payload", "\(bytes.byteCount) bytes"),
                ]))
    }

    private mutating func appendTransport(_ bytes: RawSpan, _ transportProtocol: IPProtocol) {
        let name = transportProtocol.description
        switch transportProtocol {
        case .tcp:
            guard let tcp = TCPView(bytes) else { break }
            layers.append(
                Layer(
                    name, "TCP \(tcp.sourcePort) > \(tcp.destinationPort) \(tcp.flags)",
                    [
                        Field("source", tcp.sourcePort), Field("destination", tcp.destinationPort),
                        Field("seq", tcp.sequenceNumber), Field("ack", tcp.acknowledgmentNumber),
                        Field("flags", tcp.flags), Field("window", tcp.window),
                        Field("checksum", hexText(tcp.checksum, digitCount: 4)),
                        Field("payload", "\(tcp.payload.byteCount) bytes"),
                    ]))
            return
        case .udp:
            guard let udp = UDPView(bytes) else { break }
            layers.append(
                Layer(
                    name, "UDP \(udp.sourcePort) > \(udp.destinationPort)",
                    [
                        Field("source", udp.sourcePort), Field("destination", udp.destinationPort),
                        Field("length", udp.totalByteCount),
                        Field("checksum", hexText(udp.checksum, digitCount: 4)),
                        Field("payload", "\(udp.payload.byteCount) bytes"),
                    ]))
            return
        case .icmp, .icmpv6:
            guard let icmp = ICMPView(bytes) else { break }
            let kind = Self.icmpKind(icmp.type, transportProtocol)
            let isEcho = kind.hasPrefix("echo")
            var fields = [
                Field("type", icmp.type), Field("code", icmp.code),
                Field("checksum", hexText(icmp.checksum, digitCount: 4)),
            ]
            if isEcho {
                fields += [Field("id", icmp.echoIdentifier), Field("seq", icmp.echoSequence)]
            }
            fields.append(Field("payload", "\(icmp.payload.byteCount) bytes"))
            let sequence = isEcho ? " seq \(icmp.echoSequence)" : ""
            layers.append(Layer(name, "\(name) \(kind)\(sequence)", fields))
            return
        default:
            appendPayload(bytes, as: name)
            return
        }
        layers.append(Layer(name, "malformed \(name) header", []))
    }

    /// What an ICMP (RFC 792) or ICMPv6 (RFC 4443, RFC 4861) message is for.
    private static func icmpKind(_ type: UInt8, _ transportProtocol: IPProtocol) -> String {
        switch (transportProtocol, type) {
        case (.icmp, 0), (.icmpv6, 129): "echo reply"
        case (.icmp, 8), (.icmpv6, 128): "echo request"
        case (.icmp, 3), (.icmpv6, 1): "destination unreachable"
        case (.icmp, 11), (.icmpv6, 3): "time exceeded"
        case (.icmpv6, 2): "packet too big"
        case (.icmpv6, 133): "router solicitation"
        case (.icmpv6, 134): "router advertisement"
        case (.icmpv6, 135): "neighbor solicitation"
        case (.icmpv6, 136): "neighbor advertisement"
        default: "type \(type)"
        }
    }
}

extension FrameDescription: CustomStringConvertible {
    public var description: String { summary }
}
