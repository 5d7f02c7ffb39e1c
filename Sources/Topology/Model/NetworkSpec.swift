import Wire

/// A network: one broadcast domain.
package struct NetworkSpec: Hashable, Sendable {
    package static let defaultMTU = 1500
    /// What a TAP device accepts: the kernel's floor for IPv4 (ETH_MIN_MTU, RFC 791), and 65535
    /// less the Ethernet header (tun_net_initialize in drivers/net/tun.c).
    package static let mtuRange = 68...65_521

    package var name: String
    /// The tag on trunks. Nil: the network has none and no trunk can carry it.
    package var vlan: VLANID?
    /// The IP MTU: Ethernet header and tags not counted.
    package var mtu: Int

    package init(name: String, vlan: VLANID? = nil, mtu: Int = defaultMTU) {
        self.name = name
        self.vlan = vlan
        self.mtu = mtu
    }
}
