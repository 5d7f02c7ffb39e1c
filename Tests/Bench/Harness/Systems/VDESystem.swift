/// VDE2: vde_switch, and a vde_plug2tap in each namespace, which carries frames between a TAP and the
/// switch's sockets. All of them are pinned to the switch's core.
struct VDESystem: System {
    let name = "VDE2"

    var programs: [String] { ["vde_switch", "vde_plug2tap"] }

    func start(at site: Site) throws {
        let socket = "\(site.directory)/switch"
        let hub = try site.start([
            "vde_switch", "--numports", "\(max(32, site.ports.count + 2))", "--sock", socket,
        ])
        try hub.wait("its socket") { Program.exists("\(socket)/ctl") }
        for port in site.ports {
            let plug = try site.start(
                ["vde_plug2tap", "-s", socket, port.device], in: port.namespace)
            try plug.wait("its TAP") { port.namespace.hasDevice(port.device) }
        }
    }
}
