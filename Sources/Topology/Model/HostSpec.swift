import Wire

/// A host that carries a part of the topology.
package struct HostSpec: Hashable, Sendable {
    package var name: String
    /// The address by which the other hosts reach it, and from which it sends to them.
    package var underlay: IPAddress
    /// VLAN IDs that networks have here instead of their own, by network.
    package var vlans: [String: VLANID]
    /// The encapsulation to and from this host; nil takes the topology's.
    package var overlay: OverlaySpec?
    /// Networks that it takes part in besides those of the ports declared for it: a VTEP that is
    /// not Heddle declares no ports.
    package var networks: [String]

    package init(
        name: String,
        underlay: IPAddress,
        vlans: [String: VLANID] = [:],
        overlay: OverlaySpec? = nil,
        networks: [String] = []
    ) {
        self.name = name
        self.underlay = underlay
        self.vlans = vlans
        self.overlay = overlay
        self.networks = networks
    }
}
