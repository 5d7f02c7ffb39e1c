/// Open vSwitch's userspace datapath on each of two hosts, with a tunnel between them.
///
/// As its documentation of userspace tunnelling has it, the underlay's device is a port of a bridge of
/// its own, whose internal port has the host's address: ovs-vswitchd finds the route there and
/// resolves the neighbour itself. The bridge of the tenants has the tunnel and an internal port (TAP)
/// in the tenant's namespace. ovs-vswitchd may run on both cores, as the daemons of
/// ``HeddleOverlaySystem``.
struct OpenVSwitchOverlaySystem: System {
    let name = "Open vSwitch"
    let kind: Overlay.Kind
    let underlay: HostPair.Underlay
    let cores: [Int]

    var programs: [String] { OpenVSwitch.programs + ["ethtool"] }
    var mtu: Int { Overlay.mtu }

    func start(at site: Site) throws {
        let pair = try HostPair(at: site, underlay)
        for (index, host) in pair.hosts.enumerated() {
            let openVSwitch = try OpenVSwitch(
                at: site, in: host.namespace, subdirectory: host.name, cores: cores)
            try openVSwitch.configure(
                [
                    "add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=netdev",
                    "--", "add-port", "br-phy", HostPair.device,
                    "--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                    "--", "add-port", "br0", "tunnel", "--", "set", "interface", "tunnel",
                    "type=\(kind.rawValue)",
                    "options:remote_ip=\(pair.peer(of: index).address)",
                    "options:key=\(Overlay.vni)",
                ])
            try host.namespace.configure([
                "address add \(host.address)/\(HostPair.prefixLength) dev br-phy",
                "link set br-phy up",
            ])
            try openVSwitch.addPorts([site.ports[index]], to: "br0")
        }
    }
}
