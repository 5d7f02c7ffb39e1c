import CLinux
import TestSupport
import Wire

/// Members of a trunk behind one device: each has an address and a VLAN and answers ARP requests
/// and ICMP echo requests that carry exactly its tag, with the same tag. The kernel of a test machine
/// may lack 8021q; and a kernel would not say which tag came.
///
/// Every received frame is one line of JSON: where from and to, its tags (TPID, PCP and VID), the
/// type behind them, its length and its bytes (the first 128).
struct TrunkPeer {
    /// How a member's frames are tagged.
    enum Tagging: Equatable {
        case untagged
        case tag(VLANTag)

        init?(_ text: String) {
            if text == "-" {
                self = .untagged
                return
            }
            let parts = text.split(separator: "p", omittingEmptySubsequences: false)
            guard parts.count <= 2, let vid = UInt16(parts[0].isEmpty ? "0" : parts[0]) else {
                return nil
            }
            let priority = parts.count == 2 ? UInt16(parts[1]) ?? 0 : 0
            self = .tag(VLANTag(tpid: .customerTag, tci: priority << 13 | vid))
        }
    }

    private let socket: PacketSocket
    private var members: [IPv4Address: Tagging] = [:]

    init(
        device: String, hosts: some Sequence<String>, only destination: MACAddress? = nil
    ) throws {
        socket = try PacketSocket(device: device)
        if let destination { try socket.keepOnly(destination: destination) }
        for host in hosts {
            let parts = host.split(separator: "/").map(String.init)
            guard parts.count == 2, let address = IPv4Address(parts[0]),
                let tagging = Tagging(parts[1])
            else { throw TestPeer.Usage(description: "'\(host)' is not ADDRESS/VLAN") }
            members[address] = tagging
        }
    }

    func run() throws {
        let signals = TestPeer.endSignals()
        TestPeer.print(#"{"ready":true,"mac":"\#(socket.macAddress)"}"#)
        while !TestPeer.isReadable(signals) {
            guard let frame = try socket.receive(timeoutMilliseconds: 100) else { continue }
            TestPeer.print(description(of: frame))
            if let reply = answer(to: frame) { _ = try socket.send(reply) }
        }
    }

    private func description(of frame: [UInt8]) -> String {
        let (tags, type, _) = TrunkPeer.headers(of: frame)
        let described = tags.map {
            #"{"tpid":\#($0.tpid.rawValue),"pcp":\#($0.priority),"vid":\#($0.rawID)}"#
        }
        let bytes = Hex.text(Array(frame.prefix(128))).filter { !$0.isWhitespace }
        return #"{"to":"\#(TrunkPeer.address(frame, 0))","from":"\#(TrunkPeer.address(frame, 6))","#
            + #""tags":[\#(described.joined(separator: ","))],"type":\#(type),"#
            + #""length":\#(frame.count),"bytes":"\#(bytes)"}"#
    }

    /// The tags of a frame, the type behind them, and where the payload begins.
    private static func headers(of frame: [UInt8]) -> ([VLANTag], type: UInt16, payload: Int) {
        var tags: [VLANTag] = []
        var offset = 12
        while offset + 6 <= frame.count {
            let type = EtherType(rawValue: word(frame, offset))
            guard type.isVLANTag else { break }
            tags.append(VLANTag(tpid: type, tci: word(frame, offset + 2)))
            offset += 4
        }
        return (tags, word(frame, offset), offset + 2)
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    private static func address(_ frame: [UInt8], _ offset: Int) -> MACAddress {
        MACAddress(rawValue: frame[offset..<offset + 6].reduce(0) { $0 << 8 | UInt64($1) })
    }

    private func answer(to frame: [UInt8]) -> [UInt8]? {
        let (tags, type, offset) = TrunkPeer.headers(of: frame)
        let tagging: Tagging
        switch tags.count {
        case 0: tagging = .untagged
        case 1: tagging = .tag(tags[0])
        default: return nil
        }
        let payload = Array(frame[offset...])
        return payload.withUnsafeBytes { bytes -> [UInt8]? in
            let span = RawSpan(_unsafeBytes: bytes)
            switch EtherType(rawValue: type) {
            case .arp:
                guard let arp = ARPView(span), arp.isRequest,
                    let own = matching(arp.targetIP, tagging)
                else { return nil }
                return builder(to: TrunkPeer.address(frame, 6), own)
                    .arpReply(from: arp.targetIP, to: arp.senderIP)
            case .ipv4:
                guard let ip = IPv4View(span), ip.transportProtocol == .icmp,
                    let own = matching(ip.destination, tagging)
                else { return nil }
                let header = Int(payload[0] & 15) * 4
                let message = Array(payload[header..<min(ip.totalByteCount, payload.count)])
                guard message.count >= 8, message[0] == 8 else { return nil }
                return builder(to: TrunkPeer.address(frame, 6), own)
                    .ipv4(from: ip.destination, to: ip.source)
                    .icmpEcho(
                        isReply: true, identifier: TrunkPeer.word(message, 4),
                        sequence: TrunkPeer.word(message, 6), payload: Array(message[8...]))
            default: return nil
            }
        }
    }

    /// The tagging of the member of that address, if the request came with its VLAN.
    private func matching(_ address: IPv4Address, _ tagging: Tagging) -> Tagging? {
        guard let own = members[address] else { return nil }
        switch (own, tagging) {
        // A host whose frames carry VID 0 gets untagged ones back.
        case (.tag(let mine), .untagged) where mine.rawID == 0: return own
        case (.tag(let mine), .tag(let theirs)) where mine.rawID == theirs.rawID: return own
        case (.untagged, .untagged): return own
        default: return nil
        }
    }

    private func builder(to destination: MACAddress, _ tagging: Tagging) -> FrameBuilder {
        let builder = FrameBuilder(from: socket.macAddress, to: destination)
        guard case .tag(let tag) = tagging else { return builder }
        return builder.tagged(tag.rawID, priority: tag.priority)
    }
}
