/// Open vSwitch with its userspace datapath: one bridge of `datapath_type=netdev`, whose ports are
/// internal ones (TAPs) moved into the namespaces; the default flow, `actions=NORMAL`, learns and
/// forwards as a switch does.
struct OpenVSwitchSystem: System {
    var name = "Open vSwitch"
    /// Keys of other_config in the table Open_vSwitch, such as userspace-tso-enable.
    var settings: [String] = []
    /// Keys of other_config of the bridge, such as mac-table-size.
    var bridgeSettings: [String] = []

    var programs: [String] { OpenVSwitch.programs }

    func start(at site: Site) throws {
        let openVSwitch = try OpenVSwitch(at: site, settings: settings)
        var bridge = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]
        bridge += bridgeSettings.map { "other_config:\($0)" }
        try openVSwitch.configure(bridge)
        try openVSwitch.addPorts(site.ports, to: "br0")
    }
}
