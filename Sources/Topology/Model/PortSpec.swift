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

    /// The kernel device of a TAP port, as given or derived from the port's name; nil for others.
    package var deviceName: String? {
        guard case .tap(let tap) = attachment else { return nil }
        return tap.device ?? DeviceName.derived(from: name)
    }

    /// The namespace of a TAP port's device; nil for the switch's own, and for other ports.
    package var namespace: String? {
        guard case .tap(let tap) = attachment else { return nil }
        return tap.namespace
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

/// What is plugged into a port.
package enum Attachment: Hashable, Sendable {
    case tap(TAPSpec)
    case pcap(PcapSpec)
}

/// A TAP device that Heddle makes, and what to set on its kernel end. Its MTU is the networks'.
package struct TAPSpec: Hashable, Sendable {
    /// The network namespace of the device; nil is the switch's own.
    package var namespace: String?
    /// The device's name in the kernel; nil derives one from the port's name.
    package var device: String?
    package var mac: MACAddress?
    package var addresses: [InterfaceAddress]

    package init(
        namespace: String? = nil,
        device: String? = nil,
        mac: MACAddress? = nil,
        addresses: [InterfaceAddress] = []
    ) {
        self.namespace = namespace
        self.device = device
        self.mac = mac
        self.addresses = addresses
    }
}

/// Capture files as a port: frames of `read` enter the switch, frames that leave go to `write`.
/// At least one is given.
package struct PcapSpec: Hashable, Sendable {
    package var read: String?
    package var write: String?

    package init(read: String? = nil, write: String? = nil) {
        self.read = read
        self.write = write
    }
}
