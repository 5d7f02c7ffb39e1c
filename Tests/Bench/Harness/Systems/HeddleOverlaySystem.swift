/// Two Heddles, one on each of two hosts, which run the same topology file; each has one port, a TAP.
///
/// Unlike a single switch they are not pinned: with a switch at either end of the underlay, how a
/// machine of two cores spreads them, the load's two ends and the kernel's own work is part of the
/// result, for us as for what is compared with us.
struct HeddleOverlaySystem: System {
    let name = "Heddle"
    let binary: String
    let kind: Overlay.Kind
    let underlay: HostPair.Underlay
    /// Where the daemons may run.
    let cores: [Int]

    var programs: [String] { [binary, "ethtool"] }
    var mtu: Int { Overlay.mtu }

    func start(at site: Site) throws {
        let pair = try HostPair(at: site, underlay)
        try pair.address()
        let file = "\(site.directory)/bench.yaml"
        try topology(of: site.ports, pair).write(toFile: file, atomically: false, encoding: .utf8)
        for host in pair.hosts {
            try site.startHeddle(
                binary, ["--host", host.name], file: file, in: host.namespace,
                directory: "\(site.directory)/\(host.name)", cores: cores)
        }
    }

    private func topology(of ports: [SwitchPort], _ pair: HostPair) -> String {
        var lines = ["heddle: 1", "hosts:"]
        lines += pair.hosts.map { "  \($0.name): {underlay: \($0.address)}" }
        lines += [
            "overlay: {kind: \(kind.rawValue)}",
            "networks: {bench: {vni: \(Overlay.vni), mtu: \(mtu)}}", "ports:",
        ]
        for (port, host) in zip(ports, pair.hosts) {
            lines.append(
                "  p-\(host.name): {host: \(host.name), network: bench, "
                    + "tap: {namespace: \(port.namespace.name), device: \(port.device)}}")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
