import CLinux
import CMnl
import SystemPackage
import Wire

/// One end of a veth pair to be made.
package struct VethEnd: Sendable {
    package var name: String
    /// The namespace that the end is made in; nil: the socket's.
    package var namespace: FileDescriptor?
    package var mtu: Int?
    package var address: MACAddress?

    package init(
        _ name: String, namespace: FileDescriptor? = nil, mtu: Int? = nil,
        address: MACAddress? = nil
    ) {
        self.name = name
        self.namespace = namespace
        self.mtu = mtu
        self.address = address
    }

    fileprivate func put(into message: inout MessageBuilder) {
        message.put(IFLA_IFNAME, name: name)
        if let mtu { message.put(IFLA_MTU, UInt32(clamping: mtu)) }
        if let address { message.put(IFLA_ADDRESS, bytes: address.octets) }
        if let namespace { message.put(IFLA_NET_NS_FD, UInt32(bitPattern: namespace.rawValue)) }
    }
}

/// How a device is found: by its index, by its name, or by one of its alternative names.
package enum LinkSelector: Hashable, Sendable, CustomStringConvertible {
    case index(Int32)
    case name(String)
    case alternativeName(String)

    package var description: String {
        switch self {
        case .index(let index): "device #\(index)"
        case .name(let name): "device '\(name)'"
        case .alternativeName(let name): "device known as '\(name)'"
        }
    }
}

extension NetlinkSocket {
    /// The device, or nil when there is none.
    package func link(_ selector: LinkSelector) throws(NetlinkError) -> Link? {
        var found: Link?
        do {
            try perform(.getLink(selector)) { found = found ?? Link($0) }
        } catch {
            switch error.errno {
            case .operationNotSupportedByDevice: return nil  // ENODEV: there is none.
            case .invalidArgument, .outOfRange: return nil  // Longer than a name can be.
            default: throw error
            }
        }
        // The kernel looks names and alternative names up in one table.
        return switch selector {
        case .index: found
        case .name(let name): found?.name == name ? found : nil
        case .alternativeName(let name):
            found?.alternativeNames.contains(name) == true ? found : nil
        }
    }

    /// Every device of the namespace.
    package func links() throws(NetlinkError) -> [Link] {
        try dump(.listLinks, parse: Link.init)
    }

    package func createVeth(_ end: VethEnd, peer: VethEnd) throws(NetlinkError) {
        try perform(.createVeth(end, peer: peer))
    }

    package func rename(_ index: Int32, to name: String) throws(NetlinkError) {
        try perform(.setLink(index, "rename to '\(name)'") { $0.put(IFLA_IFNAME, name: name) })
    }

    /// - Parameter mtu: the IP MTU.
    package func setMTU(_ index: Int32, to mtu: Int) throws(NetlinkError) {
        try perform(
            .setLink(index, "set MTU \(mtu) on") { $0.put(IFLA_MTU, UInt32(clamping: mtu)) })
    }

    package func setAddress(_ index: Int32, to address: MACAddress) throws(NetlinkError) {
        try perform(
            .setLink(index, "set MAC address \(address) on") {
                $0.put(IFLA_ADDRESS, bytes: address.octets)
            })
    }

    /// An empty alias removes it.
    package func setAlias(_ index: Int32, to alias: String) throws(NetlinkError) {
        try perform(.setLink(index, "set the alias of") { $0.put(IFLA_IFALIAS, text: alias) })
    }

    package func setUp(_ index: Int32, _ isUp: Bool) throws(NetlinkError) {
        try perform(
            .setLink(
                index, isUp ? "bring up" : "bring down", flags: isUp ? .up : [], mask: .up))
    }

    /// Moves the device, which goes down and loses its addresses; it may get another name on the
    /// way, and another index if its own is taken there.
    package func move(
        _ index: Int32, toNamespace namespace: FileDescriptor, renaming name: String? = nil
    ) throws(NetlinkError) {
        try perform(
            .setLink(index, "move to another namespace") {
                $0.put(IFLA_NET_NS_FD, UInt32(bitPattern: namespace.rawValue))
                if let name { $0.put(IFLA_IFNAME, name: name) }
            })
    }

    /// Adds an alternative name of up to 127 bytes (Linux 5.5); unique in the namespace.
    package func addAlternativeName(_ name: String, to index: Int32) throws(NetlinkError) {
        try perform(.alternativeName(name, of: index, isAdded: true))
    }

    package func removeAlternativeName(_ name: String, from index: Int32) throws(NetlinkError) {
        try perform(.alternativeName(name, of: index, isAdded: false))
    }

    /// Deletes a virtual device; of a veth, both ends go.
    package func deleteLink(_ index: Int32) throws(NetlinkError) {
        try perform(.deleteLink(index))
    }
}

extension NetlinkRequest {
    static func getLink(_ selector: LinkSelector) -> NetlinkRequest {
        NetlinkRequest(
            RTM_GETLINK, flags: NLM_F_ACK, operation: "look up", object: "\(selector)"
        ) { message in
            var header = ifinfomsg()
            if case .index(let index) = selector { header.ifi_index = index }
            message.put(header: header)
            message.put(IFLA_EXT_MASK, UInt32(RTEXT_FILTER_SKIP_STATS))
            switch selector {
            case .index: break
            case .name(let name): message.put(IFLA_IFNAME, name: name)
            case .alternativeName(let name): message.put(IFLA_ALT_IFNAME, name: name)
            }
        }
    }

    static var listLinks: NetlinkRequest {
        NetlinkRequest(RTM_GETLINK, flags: NLM_F_DUMP, operation: "list", object: "devices") {
            $0.put(header: ifinfomsg())
            $0.put(IFLA_EXT_MASK, UInt32(RTEXT_FILTER_SKIP_STATS))
        }
    }

    static func createVeth(_ end: VethEnd, peer: VethEnd) -> NetlinkRequest {
        NetlinkRequest(
            RTM_NEWLINK, flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, operation: "create",
            object: "veth pair '\(end.name)' and '\(peer.name)'"
        ) { message in
            message.put(header: ifinfomsg())
            end.put(into: &message)
            message.nest(IFLA_LINKINFO) { info in
                info.put(IFLA_INFO_KIND, text: "veth")
                info.nest(IFLA_INFO_DATA) { data in
                    data.nest(VETH_INFO_PEER) {
                        $0.put(header: ifinfomsg())
                        peer.put(into: &$0)
                    }
                }
            }
        }
    }

    static func setLink(
        _ index: Int32, _ operation: String, flags: LinkFlags = [], mask: LinkFlags = [],
        build: (inout MessageBuilder) -> Void = { _ in }
    ) -> NetlinkRequest {
        NetlinkRequest(
            RTM_SETLINK, flags: NLM_F_ACK, operation: operation, object: "device #\(index)"
        ) { message in
            var header = ifinfomsg()
            header.ifi_index = index
            header.ifi_flags = flags.rawValue
            header.ifi_change = mask.rawValue
            message.put(header: header)
            build(&message)
        }
    }

    static func alternativeName(
        _ name: String, of index: Int32, isAdded: Bool
    ) -> NetlinkRequest {
        NetlinkRequest(
            isAdded ? RTM_NEWLINKPROP : RTM_DELLINKPROP,
            flags: NLM_F_ACK | (isAdded ? NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND : 0),
            operation: "\(isAdded ? "add" : "remove") alternative name '\(name)' of",
            object: "device #\(index)"
        ) { message in
            var header = ifinfomsg()
            header.ifi_index = index
            message.put(header: header)
            message.nest(IFLA_PROP_LIST) { $0.put(IFLA_ALT_IFNAME, name: name) }
        }
    }

    static func deleteLink(_ index: Int32) -> NetlinkRequest {
        NetlinkRequest(
            RTM_DELLINK, flags: NLM_F_ACK, operation: "delete", object: "device #\(index)"
        ) { message in
            var header = ifinfomsg()
            header.ifi_index = index
            message.put(header: header)
        }
    }
}

extension MACAddress {
    /// The six octets in transmission order.
    var octets: [UInt8] {
        stride(from: 40, through: 0, by: -8).map { UInt8(truncatingIfNeeded: rawValue >> $0) }
    }
}
