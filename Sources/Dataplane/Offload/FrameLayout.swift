import Wire

/// Where a frame's headers are: what checksum completion and segmentation need to know, found by
/// parsing and never by what the sender says.
struct FrameLayout {
    enum Network {
        case ipv4
        case ipv6
        /// Neither, or ARP, whose packet has no checksum.
        case other
        case arp
    }

    /// Tags that may be left in the frame; two is what 802.1ad makes.
    private static let tagLimit = 2

    private(set) var network = Network.other
    /// Offset of what follows the Ethernet header and its tags.
    private(set) var networkOffset = EthernetView.minimumByteCount
    /// Meaningful with IPv4 and IPv6 only, as is all that follows.
    private(set) var transportProtocol = IPProtocol.noNextHeader
    private(set) var transportOffset = 0
    private(set) var isFragment = false
    private(set) var hasRoutingHeader = false

    /// Nil when a header is cut off or malformed. `headers` is the frame or as much of its start
    /// as there is; the layout lies within it.
    init?(_ headers: UnsafeRawBufferPointer) {
        guard let ethernet = EthernetView(headers.bytes) else { return nil }
        var etherType = ethernet.outerType
        var tagCount = 0
        while etherType.isVLANTag {
            guard tagCount < Self.tagLimit, headers.count >= networkOffset + 4,
                let base = headers.baseAddress
            else { return nil }
            etherType = EtherType(rawValue: base.loadBigEndian(networkOffset + 2))
            networkOffset += 4
            tagCount += 1
        }
        let packet = headers.bytes.extracting(droppingFirst: networkOffset)
        switch etherType {
        case .ipv4:
            guard let ip = IPv4View(packet) else { return nil }
            network = .ipv4
            transportProtocol = ip.transportProtocol
            transportOffset = networkOffset + ip.headerByteCount
            isFragment = ip.isFragment
        case .ipv6:
            guard let ip = IPv6View(packet), let transport = ip.transport() else { return nil }
            network = .ipv6
            transportProtocol = transport.transportProtocol
            transportOffset = networkOffset + transport.offset
            isFragment = transport.isFragment
            hasRoutingHeader = transport.hasRoutingHeader
        case .arp:
            network = .arp
        default:
            break
        }
    }
}
