/// Heddle with `device` ports: the switch's ends of veth pairs, whose other ends are the hosts'.
struct HeddleDeviceSystem: System {
    let name = "Heddle"
    let binary: String

    var programs: [String] { [binary, "ip"] }

    func start(at site: Site) throws {
        try site.addVethPairs()
        var lines = ["heddle: 1", "networks: {bench: {}}", "ports:"]
        for index in site.ports.indices {
            lines.append("  p-\(index): {network: bench, device: {name: port\(index)}}")
        }
        let file = "\(site.directory)/bench.yaml"
        try (lines.joined(separator: "\n") + "\n").write(
            toFile: file, atomically: false, encoding: .utf8)
        try site.startHeddle(
            binary, ["--workers", "1"], file: file, directory: site.directory)
    }
}

extension Site {
    /// Makes a veth pair for each port: `port0`, `port1` … here, the port's device in its namespace.
    func addVethPairs() throws {
        try namespace.configure(
            ports.enumerated().flatMap { index, port in
                [
                    "link add port\(index) type veth peer name \(port.device)"
                        + " netns \(port.namespace.name)",
                    "link set port\(index) txqueuelen \(Rig.queueLength) up",
                ]
            })
    }
}
