/// Open vSwitch with DPDK: one bridge, vhost-user ports, the default flow (`actions=NORMAL`), one
/// polling thread on the switches' core.
///
/// What it takes to run without hugepages and on two cores: OVS itself adds `--in-memory`, which EAL
/// refuses with `--no-huge` unless `--legacy-mem` is given. With the shared memory pools that are the
/// default, the first guest that connects makes OVS allocate 262,144 buffers: that takes seconds,
/// during which nothing is forwarded, and more than the 1 GiB, so that the port fails. With
/// `per-port-memory` a port gets some 20,000. The ports are dpdkvhostuser (OVS listens);
/// dpdkvhostuserclient with a listening guest measured the same.
struct OpenVSwitchDPDKSystem: VhostSystem {
    let name = "OVS-DPDK"
    /// Keys of other_config of the bridge, such as mac-table-size.
    var bridgeSettings: [String] = []
    var settlingSeconds = 0.2

    private static let daemon = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"

    var programs: [String] { [Self.daemon, "ovsdb-server", "ovsdb-tool", "ovs-vsctl"] }
    var isPolling: Bool { true }

    /// It puts them where its other sockets are, by the ports' names.
    func socket(_ port: Int, in directory: String) -> String { "\(directory)/vhost\(port)" }

    func start(at site: Site, sockets: [String]) throws {
        let mask = "0x" + String(1 << site.core, radix: 16)
        let openVSwitch = try OpenVSwitch(
            at: site,
            settings: [
                "dpdk-init=true", "dpdk-extra=\"--no-huge --legacy-mem --no-pci -m 1024\"",
                "dpdk-lcore-mask=\(mask)", "pmd-cpu-mask=\(mask)", "per-port-memory=true",
            ], daemon: Self.daemon)
        var bridge = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]
        bridge += bridgeSettings.map { "other_config:\($0)" }
        try openVSwitch.configure(bridge)
        try openVSwitch.configure(
            sockets.indices.flatMap { index in
                [
                    "--", "add-port", "br0", "vhost\(index)", "--", "set", "interface",
                    "vhost\(index)", "type=dpdkvhostuser",
                ]
            })
    }
}
