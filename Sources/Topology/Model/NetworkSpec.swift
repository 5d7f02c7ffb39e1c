import Wire

/// A network: one broadcast domain.
package struct NetworkSpec: Hashable, Sendable {
    package static let defaultMTU = 1500
    /// What a TAP device accepts: the kernel's floor for IPv4 (ETH_MIN_MTU, RFC 791), and 65535
    /// less the Ethernet header (tun_net_initialize in drivers/net/tun.c).
    package static let mtuRange = 68...65_521
    /// What 24 bits hold (RFC 7348, section 5; RFC 8926, section 3.4). Zero is somebody's default
    /// and nobody's network.
    package static let vniRange: ClosedRange<UInt32> = 1...0xFF_FFFF

    package var name: String
    /// The tag on trunks. Nil: the network has none and no trunk can carry it.
    package var vlan: VLANID?
    /// The IP MTU: Ethernet header and tags not counted.
    package var mtu: Int
    /// Its identifier between hosts. Nil: the network does not leave its host.
    package var vni: UInt32?
    /// The encapsulation between hosts; nil takes the hosts', then the topology's.
    package var overlay: OverlaySpec?

    package init(
        name: String,
        vlan: VLANID? = nil,
        mtu: Int = defaultMTU,
        vni: UInt32? = nil,
        overlay: OverlaySpec? = nil
    ) {
        self.name = name
        self.vlan = vlan
        self.mtu = mtu
        self.vni = vni
        self.overlay = overlay
    }

    /// The network of a VLAN ID that a port names and no network has.
    init(madeFor vlan: VLANID) {
        self.init(name: "vlan-\(vlan)", vlan: vlan)
    }
}
