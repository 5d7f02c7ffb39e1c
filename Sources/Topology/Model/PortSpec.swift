import Wire

/// A port: one attachment, and how it takes part in the networks.
package struct PortSpec: Hashable, Sendable {
    package var name: String
    /// The host that has it; nil exactly where the topology has no hosts.
    package var host: String?
    package var membership: Membership
    package var attachment: Attachment
    /// Whether frames from it may reach only ports that are not isolated.
    package var isolated: Bool
    /// Dynamic FDB entries it may hold; nil takes the switch's `portFDBLimit`.
    package var fdbLimit: Int?
    /// Addresses that live here for good: never aged, never moved.
    package var staticMACs: [MACAddress]
    /// Whether an address learned here stays until it ages, whoever else claims it.
    package var sticky: Bool
    /// Administrative state.
    package var up: Bool
    package var description: String?

    package init(
        name: String,
        host: String? = nil,
        membership: Membership,
        attachment: Attachment,
        isolated: Bool = false,
        fdbLimit: Int? = nil,
        staticMACs: [MACAddress] = [],
        sticky: Bool = false,
        up: Bool = true,
        description: String? = nil
    ) {
        self.name = name
        self.host = host
        self.membership = membership
        self.attachment = attachment
        self.isolated = isolated
        self.fdbLimit = fdbLimit
        self.staticMACs = staticMACs
        self.sticky = sticky
        self.up = up
        self.description = description
    }

    /// The device that Heddle makes and whose addresses are set: of a TAP the kernel's end, of a
    /// veth the end in its namespace; named as given or after the port. Nil for other ports.
    package var deviceName: String? {
        attachment.madeDevice.map { $0.device ?? DeviceName.derived(from: name) }
    }

    /// The namespace of that device; nil for the switch's own, and for other ports.
    package var namespace: String? { attachment.madeDevice?.namespace }

    /// The end of a veth that is the port itself, in the switch's own namespace; nil for others.
    package var switchEndName: String? {
        guard case .veth = attachment else { return nil }
        return DeviceName.switchEnd(of: name)
    }
}

/// How a port takes part in networks, by their names.
package enum Membership: Hashable, Sendable {
    case access(network: String)
    /// `native`, one of `networks`, leaves untagged; without one, untagged frames are dropped.
    case trunk(networks: [String], native: String?)

    /// All networks the port is in.
    package var networks: [String] {
        switch self {
        case .access(let network): [network]
        case .trunk(let networks, _): networks
        }
    }
}
