import CLinux
import Wire

/// A network device as the kernel describes it: one RTM_NEWLINK message.
package struct Link: Equatable, Sendable {
    /// Unique in its namespace, and not reused while the namespace lives.
    package let index: Int32
    package let name: String
    package var alternativeNames: [String] = []
    /// What `ip link set alias` wrote.
    package var alias: String?
    package var flags: LinkFlags
    /// The IP MTU.
    package var mtu: Int = 0
    /// Nil for a device without Ethernet addresses.
    package var address: MACAddress?
    /// The kind of a virtual device, such as `veth`, `tun` or `bridge`; nil for a physical one.
    package var kind: String?
    /// The UDP port at which a `vxlan` or `geneve` device receives while it is up.
    package var tunnelPort: UInt16?
    package var group: UInt32 = 0
    /// The bridge or bond that the device is a port of.
    package var controller: Int32?
    /// The other end of a veth, or the device under a VLAN: an index, possibly of another namespace.
    package var lower: Int32?
    /// Frames that the device was to transmit and dropped; of a TAP, those that found its queue full
    /// because nobody read fast enough.
    package var transmitDropped: UInt64 = 0

    /// A device that a test makes up.
    init(index: Int32, name: String, flags: LinkFlags) {
        self.index = index
        self.name = name
        self.flags = flags
    }

    /// Reads an RTM_NEWLINK or RTM_DELLINK message; nil when it is another kind of message.
    init?(_ message: NetlinkMessage) {
        // A bridge announces its ports with family AF_BRIDGE: RTM_DELLINK then means that a device
        // left the bridge, not that it is gone.
        guard message.type == RTM_NEWLINK || message.type == RTM_DELLINK,
            let header = message.header(ifinfomsg.self), header.ifi_family == AF_UNSPEC
        else { return nil }
        var name = ""
        index = header.ifi_index
        flags = LinkFlags(rawValue: header.ifi_flags)
        for attribute in message.attributes(after: ifinfomsg.self) {
            switch attribute.type {
            case IFLA_IFNAME: name = attribute.string
            case IFLA_IFALIAS: alias = attribute.string
            case IFLA_MTU: mtu = attribute.uint32.map(Int.init) ?? 0
            case IFLA_GROUP: group = attribute.uint32 ?? 0
            case IFLA_MASTER: controller = attribute.uint32.map(Int32.init(bitPattern:))
            case IFLA_LINK: lower = attribute.uint32.map(Int32.init(bitPattern:))
            case IFLA_STATS64
            where attribute.payload.count >= MemoryLayout<rtnl_link_stats64>.size:
                transmitDropped =
                    attribute.payload.loadUnaligned(as: rtnl_link_stats64.self).tx_dropped
            case IFLA_ADDRESS where attribute.payload.count == 6:
                address = attribute.payload.baseAddress.map { MACAddress($0) }
            case IFLA_PROP_LIST:
                alternativeNames = attribute.nested.filter { $0.type == IFLA_ALT_IFNAME }
                    .map(\.string)
            case IFLA_LINKINFO:
                kind = attribute.nested.first { $0.type == IFLA_INFO_KIND }?.string
                tunnelPort = Link.tunnelPort(of: kind, attribute.nested)
            default: break
            }
        }
        self.name = name
    }

    private static func tunnelPort(of kind: String?, _ information: Attributes) -> UInt16? {
        let type: Int
        switch kind {
        case "vxlan": type = IFLA_VXLAN_PORT
        case "geneve": type = IFLA_GENEVE_PORT
        default: return nil
        }
        let data = information.first { $0.type == IFLA_INFO_DATA }
        guard let port = data?.nested.first(where: { $0.type == type })?.payload, port.count == 2
        else { return nil }
        return UInt16(bigEndian: port.loadUnaligned(as: UInt16.self))
    }

    /// Whether the device carries this name, as its own or as an alternative one.
    package func isNamed(_ name: String) -> Bool {
        self.name == name || alternativeNames.contains(name)
    }
}

/// The IFF_ flags of a device (netdevice(7)).
package struct LinkFlags: OptionSet, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Administratively up.
    package static let up = LinkFlags(rawValue: UInt32(IFF_UP))
    package static let broadcast = LinkFlags(rawValue: UInt32(IFF_BROADCAST))
    package static let loopback = LinkFlags(rawValue: UInt32(IFF_LOOPBACK))
    /// Operational: up and with a carrier.
    package static let running = LinkFlags(rawValue: UInt32(IFF_RUNNING))
    package static let promiscuous = LinkFlags(rawValue: UInt32(IFF_PROMISC))
    package static let multicast = LinkFlags(rawValue: UInt32(IFF_MULTICAST))
    /// The driver reports a carrier.
    package static let lowerUp = LinkFlags(rawValue: UInt32(CLINUX_IFF_LOWER_UP))
}
