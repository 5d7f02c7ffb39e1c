/// Heddle with vhost-user ports in one network: the release binary, one worker.
struct HeddleVhostSystem: VhostSystem {
    let name = "Heddle"
    let binary: String
    /// Lines to stand at the top level of the topology file.
    var settings: [String] = []

    /// Settings for more addresses behind a port than are allowed by default.
    static let manyAddresses = ["switch: {fdb-limit: 65536, port-fdb-limit: 65536}"]

    var programs: [String] { [binary] }
    /// It sleeps when there is nothing to do.
    var isPolling: Bool { false }

    func start(at site: Site, sockets: [String]) throws {
        var lines = ["heddle: 1"] + settings + ["networks: {bench: {}}", "ports:"]
        for (index, socket) in sockets.enumerated() {
            lines.append(
                "  p-\(index): {network: bench, "
                    + "vhost-user: {socket: \(socket), mode: server, queues: 1}}")
        }
        let file = "\(site.directory)/bench.yaml"
        try (lines.joined(separator: "\n") + "\n").write(
            toFile: file, atomically: false, encoding: .utf8)
        try site.startHeddle(
            binary, ["--workers", "1"], file: file, directory: site.directory)
    }
}
