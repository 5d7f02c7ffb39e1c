// What a frame to all says about who has which address: ARP (RFC 826, with the probes and the
// announcements of RFC 5227), IPv6 neighbour discovery (RFC 4861, duplicate address detection of
// RFC 4862), DHCP (RFC 2131, options of RFC 2132) and what clients of DHCPv6 say (RFC 8415).
//
// The reader believes nothing but lengths: whoever sends a frame may write anything. It copies a few
// addresses and at most one name of at most 63 bytes; options are walked once, with a bound.

/// Something that a station says, or that a DHCP server says of it.
public struct StationClaim: Equatable, Sendable {
    public enum Source: String, Sendable {
        case arp
        case nd
        case dhcp
        case dhcpv6
    }

    public enum Kind: Sendable {
        /// The station has the address.
        case holds
        /// It asks whether anybody has it, to take it (RFC 5227 section 2.1.1).
        case asksFor
        /// It gives the address back, or was refused it.
        case releases
    }

    public var kind: Kind
    public var source: Source
    public var station: MACAddress
    /// Nil where the station says its name only.
    public var address: IPAddress?
    /// What it calls itself.
    public var hostName: String?

    public init(
        _ kind: Kind, _ source: Source, station: MACAddress, address: IPAddress? = nil,
        hostName: String? = nil
    ) {
        self.kind = kind
        self.source = source
        self.station = station
        self.address = address
        self.hostName = hostName
    }

    /// Claims of one frame at most.
    public static var limit: Int { 8 }

    /// What an untagged frame claims; empty for one that claims nothing, or is cut off.
    public static func parse(_ frame: RawSpan) -> [StationClaim] {
        guard let ethernet = EthernetView(frame) else { return [] }
        switch ethernet.etherType {
        case .arp: return arp(ethernet.payload)
        case .ipv4:
            guard let packet = IPv4View(ethernet.payload), !packet.isFragment,
                packet.transportProtocol == .udp, let datagram = UDPView(packet.payload)
            else { return [] }
            switch (datagram.sourcePort, datagram.destinationPort) {
            case (68, 67), (67, 68): return dhcp(datagram.payload)
            default: return []
            }
        case .ipv6:
            guard let packet = IPv6View(ethernet.payload) else { return [] }
            if packet.nextHeader == .icmpv6 {
                // Neighbour discovery that passed a router is not neighbour discovery.
                guard packet.hopLimit == 255 else { return [] }
                return discovery(packet.payload, from: packet.source, sender: ethernet.source)
            }
            guard packet.nextHeader == .udp, let datagram = UDPView(packet.payload),
                datagram.sourcePort == 546, datagram.destinationPort == 547
            else { return [] }
            return dhcpv6(datagram.payload, sender: ethernet.source)
        default: return []
        }
    }

    // MARK: ARP

    private static func arp(_ bytes: RawSpan) -> [StationClaim] {
        guard let packet = ARPView(bytes), packet.isRequest || packet.isReply,
            isStation(packet.senderMAC)
        else { return [] }
        guard packet.senderIP.rawValue != 0 else {
            // A probe: the sender has no address yet and would like the target.
            guard packet.isRequest, isHost(packet.targetIP) else { return [] }
            return [
                StationClaim(
                    .asksFor, .arp, station: packet.senderMAC, address: .v4(packet.targetIP))
            ]
        }
        guard isHost(packet.senderIP) else { return [] }
        return [
            StationClaim(.holds, .arp, station: packet.senderMAC, address: .v4(packet.senderIP))
        ]
    }

    // MARK: Neighbour discovery

    private static func discovery(
        _ bytes: RawSpan, from source: IPv6Address, sender: MACAddress
    ) -> [StationClaim] {
        guard let message = ICMPView(bytes), isStation(sender) else { return [] }
        var address = source
        switch message.type {
        // Router solicitation and advertisement: their sender has its address.
        case 133, 134: break
        case 135, 136:
            guard bytes.byteCount >= 24 else { return [] }
            let target = IPv6Address(
                high: bytes.loadBigEndian(8), low: bytes.loadBigEndian(16))
            // A solicitation from nowhere is for the sender's own address to be (RFC 4862 section
            // 5.4.2), an advertisement tells of its target.
            if message.type == 136 || source.isUnspecified { address = target }
        default: return []
        }
        guard isHost(address) else { return [] }
        // Duplicate address detection ends in the address unless somebody objects, and then nothing
        // more is said to all.
        return [StationClaim(.holds, .nd, station: sender, address: .v6(address))]
    }

    // MARK: DHCP

    private static func dhcp(_ bytes: RawSpan) -> [StationClaim] {
        // RFC 2131 figure 1: the fixed part, 236 bytes, and the cookie before the options. Ethernet
        // hardware has type 1 and six octets.
        guard bytes.byteCount >= 240, bytes.byte(1) == 1, bytes.byte(2) == 6,
            bytes.loadBigEndian(236, as: UInt32.self) == 0x6382_5363
        else { return [] }
        let station = MACAddress(rawValue: bytes.loadBigEndian(28, as: UInt64.self) >> 16)
        guard isStation(station) else { return [] }
        var type: UInt8 = 0
        var requested = IPv4Address(rawValue: 0)
        var name: String?
        var place = 240
        while place < bytes.byteCount, bytes.byte(place) != 255 {
            if bytes.byte(place) == 0 {
                place += 1
                continue
            }
            guard place + 2 <= bytes.byteCount else { break }
            let count = Int(bytes.byte(place + 1))
            guard place + 2 + count <= bytes.byteCount else { break }
            switch (bytes.byte(place), count) {
            case (12, 1...): name = Self.name(bytes.extracting(place + 2..<place + 2 + count))
            case (50, 4): requested = IPv4Address(rawValue: bytes.loadBigEndian(place + 2))
            case (53, 1): type = bytes.byte(place + 2)
            default: break
            }
            place += 2 + count
        }
        let client = IPv4Address(rawValue: bytes.loadBigEndian(12))
        let yours = IPv4Address(rawValue: bytes.loadBigEndian(16))
        func claim(_ kind: Kind, _ address: IPv4Address) -> [StationClaim] {
            guard isHost(address) else { return named() }
            return [
                StationClaim(
                    kind, .dhcp, station: station, address: .v4(address), hostName: name)
            ]
        }
        func named() -> [StationClaim] {
            name.map { [StationClaim(.holds, .dhcp, station: station, hostName: $0)] } ?? []
        }
        switch (bytes.byte(0), type) {
        case (1, 1): return named()  // DISCOVER: what it asks for may be long gone
        case (1, 3): return claim(.holds, client.rawValue == 0 ? requested : client)  // REQUEST
        case (1, 4): return claim(.releases, requested)  // DECLINE
        case (1, 7): return claim(.releases, client)  // RELEASE
        case (2, 5): return claim(.holds, yours)  // ACK
        default: return []
        }
    }

    // MARK: DHCPv6

    private static func dhcpv6(_ bytes: RawSpan, sender: MACAddress) -> [StationClaim] {
        // A client's message: type, and three octets of transaction (RFC 8415 section 8).
        guard bytes.byteCount >= 4, isStation(sender) else { return [] }
        let kind: Kind
        switch bytes.byte(0) {
        case 3, 4, 5, 6: kind = .holds  // REQUEST, CONFIRM, RENEW, REBIND
        case 8, 9: kind = .releases  // RELEASE, DECLINE
        case 1, 11: kind = .asksFor  // SOLICIT, INFORMATION-REQUEST: for the name alone
        default: return []
        }
        var addresses: [IPv6Address] = []
        var name: String?
        options(bytes, from: 4) { code, option in
            switch code {
            case 3 where option.byteCount >= 12:  // IA_NA: IAID, T1, T2, then options
                options(option, from: 12) { code, inner in
                    guard code == 5, inner.byteCount >= 24, addresses.count < limit else { return }
                    let address = IPv6Address(
                        high: inner.loadBigEndian(0), low: inner.loadBigEndian(8))
                    if isHost(address) { addresses.append(address) }
                }
            case 39 where option.byteCount >= 3:  // Client FQDN (RFC 4704): flags, then labels
                let count = Int(option.byte(1))
                guard count >= 1, 2 + count <= option.byteCount else { return }
                name = Self.name(option.extracting(2..<2 + count))
            default: break
            }
        }
        var claims: [StationClaim] = []
        if kind != .asksFor {
            claims = addresses.map {
                StationClaim(kind, .dhcpv6, station: sender, address: .v6($0), hostName: name)
            }
        }
        if claims.isEmpty, let name {
            claims.append(StationClaim(.holds, .dhcpv6, station: sender, hostName: name))
        }
        return claims
    }

    /// Calls `body` with each DHCPv6 option from an offset on: code and length of two octets.
    private static func options(
        _ bytes: RawSpan, from start: Int, _ body: (UInt16, RawSpan) -> Void
    ) {
        var place = start
        while place + 4 <= bytes.byteCount {
            let count = Int(bytes.loadBigEndian(place + 2, as: UInt16.self))
            guard place + 4 + count <= bytes.byteCount else { return }
            body(bytes.loadBigEndian(place), bytes.extracting(place + 4..<place + 4 + count))
            place += 4 + count
        }
    }

    // MARK: What can be believed

    /// A host's name as far as it is one: letters, digits, hyphens, dots and underscores, at most 63
    /// (a label's length, RFC 1035). A terminal's control characters are nobody's name.
    private static func name(_ bytes: RawSpan) -> String? {
        var text = ""
        for place in 0..<min(bytes.byteCount, 63) {
            let byte = bytes.byte(place)
            // Some clients count the zero that ends the text.
            if byte == 0 { break }
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: return nil
            }
        }
        return text.isEmpty ? nil : text
    }

    private static func isStation(_ address: MACAddress) -> Bool {
        !address.isMulticast && !address.isZero
    }

    private static func isHost(_ address: IPv4Address) -> Bool {
        address.rawValue != 0 && address.rawValue != .max && !address.isMulticast
            && address.rawValue >> 24 != 127
    }

    private static func isHost(_ address: IPv6Address) -> Bool {
        !address.isUnspecified && !address.isMulticast && !address.isLoopback
    }
}
