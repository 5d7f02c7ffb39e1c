/// The kernel's own overlay: on each of two hosts a Linux bridge with the port's veth and a vxlan
/// device, which knows the other host (as `bridge fdb` or a controller would tell it).
///
/// As a bridge, it has no process. UDP checksums are on, which is the kernel's default and ours.
struct BridgeVXLANSystem: System {
    let name = "bridge + kernel vxlan"
    let underlay: HostPair.Underlay

    var programs: [String] { ["ip", "ethtool"] }
    var mtu: Int { Overlay.mtu }

    func start(at site: Site) throws {
        let pair = try HostPair(at: site, underlay)
        try pair.address()
        for (index, host) in pair.hosts.enumerated() {
            let port = site.ports[index]
            try host.namespace.configure([
                "link add vxlan0 type vxlan id \(Overlay.vni) dstport 4789 local \(host.address)"
                    + " remote \(pair.peer(of: index).address) dev \(HostPair.device)",
                "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                "link add port type veth peer name \(port.device) netns \(port.namespace.name)",
                "link set vxlan0 mtu \(mtu) master br0 up",
                "link set port mtu \(mtu) master br0 txqueuelen \(Rig.queueLength) up",
                "link set br0 up",
            ])
        }
    }
}
