import Foundation

/// An Open vSwitch of the bench's: ovsdb-server and ovs-vswitchd of one host.
///
/// Both run in the foreground from a fresh database and with every file of theirs in the bench's
/// directory, so that a system's own Open vSwitch is neither used nor seen.
struct OpenVSwitch {
    static let programs = ["ovsdb-server", "ovsdb-tool", "ovs-vswitchd", "ovs-vsctl"]
    private static let schema = "/usr/share/openvswitch/vswitch.ovsschema"

    private let site: Site
    private let namespace: Namespace
    private let command: [String]

    /// - Parameters:
    ///   - settings: keys of other_config in the table Open_vSwitch.
    ///   - daemon: ovs-vswitchd, or another build of it.
    ///   - subdirectory: for its files, where a site has more than one.
    ///   - cores: where ovs-vswitchd may run; nil: on the switches' core.
    init(
        at site: Site, in namespace: Namespace? = nil, settings: [String] = [],
        daemon: String = "ovs-vswitchd", subdirectory: String? = nil, cores: [Int]? = nil
    ) throws {
        self.site = site
        self.namespace = namespace ?? site.namespace
        let directory = ([site.directory] + (subdirectory.map { [$0] } ?? []))
            .joined(separator: "/")
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        let socket = "unix:\(directory)/db.sock"
        // ovs-vswitchd looks for bridges' management sockets and its own log here.
        let environment = [
            "env", "OVS_RUNDIR=\(directory)", "OVS_LOGDIR=\(directory)", "OVS_DBDIR=\(directory)",
        ]
        command = environment + ["ovs-vsctl", "--timeout=20", "--db=\(socket)"]

        try site.run(["ovsdb-tool", "create", "\(directory)/conf.db", Self.schema])
        let database = try site.start(
            environment + [
                "ovsdb-server", "\(directory)/conf.db", "--remote=p\(socket)",
                "--unixctl=\(directory)/ovsdb.ctl", "--pidfile=\(directory)/ovsdb.pid",
            ], in: self.namespace)
        try database.wait("its socket") { Program.exists("\(directory)/db.sock") }
        try configure(["--no-wait", "init"])
        if !settings.isEmpty {
            try configure(
                ["--no-wait", "set", "Open_vSwitch", "."] + settings.map { "other_config:\($0)" })
        }
        try site.start(
            environment + Placement.prefix(cores) + [
                daemon, socket, "--unixctl=\(directory)/vswitchd.ctl",
                "--pidfile=\(directory)/vswitchd.pid",
            ], in: self.namespace)
    }

    /// Runs ovs-vsctl, which waits until ovs-vswitchd has done what it says.
    func configure(_ arguments: [String]) throws {
        try site.run(command + arguments, in: namespace)
    }

    /// Adds internal ports and moves them to where they belong. Their names are those of the switch's
    /// namespace until then.
    func addPorts(_ ports: [SwitchPort], to bridge: String) throws {
        let names = ports.indices.map { "port\($0)" }
        try configure(
            names.flatMap { name in
                ["--", "add-port", bridge, name, "--", "set", "interface", name, "type=internal"]
            })
        try namespace.configure(
            zip(names, ports).map { name, port in
                "link set \(name) netns \(port.namespace.name) name \(port.device)"
            })
    }
}
