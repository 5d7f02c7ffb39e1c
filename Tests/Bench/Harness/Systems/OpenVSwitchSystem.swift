/// Open vSwitch with its userspace datapath: one bridge of `datapath_type=netdev`, whose ports are
/// internal ones (TAPs) moved into the namespaces; the default flow, `actions=NORMAL`, learns and
/// forwards as a switch does.
///
/// ovsdb-server and ovs-vswitchd run in the foreground from a fresh database and with every file of
/// theirs in the bench's directory, so that a system's own Open vSwitch is neither used nor seen.
struct OpenVSwitchSystem: System {
    var name = "Open vSwitch"
    /// Keys of other_config in the table Open_vSwitch, such as userspace-tso-enable.
    var settings: [String] = []
    /// Keys of other_config of the bridge, such as mac-table-size.
    var bridgeSettings: [String] = []

    var programs: [String] { ["ovsdb-server", "ovsdb-tool", "ovs-vswitchd", "ovs-vsctl"] }

    private static let schema = "/usr/share/openvswitch/vswitch.ovsschema"

    func start(at site: Site) throws {
        let directory = site.directory
        let socket = "unix:\(directory)/db.sock"
        // ovs-vswitchd looks for bridges' management sockets and its own log here.
        let environment = [
            "env", "OVS_RUNDIR=\(directory)", "OVS_LOGDIR=\(directory)", "OVS_DBDIR=\(directory)",
        ]
        let configure = environment + ["ovs-vsctl", "--timeout=20", "--db=\(socket)"]

        try site.run(["ovsdb-tool", "create", "\(directory)/conf.db", Self.schema])
        let database = try site.start(
            environment + [
                "ovsdb-server", "\(directory)/conf.db", "--remote=p\(socket)",
                "--unixctl=\(directory)/ovsdb.ctl", "--pidfile=\(directory)/ovsdb.pid",
            ])
        try database.wait("its socket") { Program.exists("\(directory)/db.sock") }
        try site.run(configure + ["--no-wait", "init"])
        if !settings.isEmpty {
            try site.run(
                configure + ["--no-wait", "set", "Open_vSwitch", "."]
                    + settings.map { "other_config:\($0)" })
        }
        try site.start(
            environment + [
                "ovs-vswitchd", socket, "--unixctl=\(directory)/vswitchd.ctl",
                "--pidfile=\(directory)/vswitchd.pid",
            ])

        // Names are those of the switch's namespace until the devices are moved and renamed.
        let names = site.ports.indices.map { "port\($0)" }
        var bridge = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]
        bridge += bridgeSettings.map { "other_config:\($0)" }
        for name in names {
            bridge += ["--", "add-port", "br0", name, "--", "set", "interface", name]
            bridge += ["type=internal"]
        }
        try site.run(configure + bridge)
        try site.namespace.configure(
            zip(names, site.ports).map { name, port in
                "link set \(name) netns \(port.namespace.name) name \(port.device)"
            })
    }
}
