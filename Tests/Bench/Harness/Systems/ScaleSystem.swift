import Foundation

/// Heddle as one of many hosts: a thousand networks, ten thousand addresses on other hosts, which it
/// reaches by as many tunnels as there are hosts.
///
/// The switch under test is alpha's; it has one port, a trunk of all networks. The other hosts are
/// addresses of a second namespace, where a ``RemoteHosts`` speaks for them and takes what is sent to
/// them. However many hosts there are, a network is on ten of them, each of which has one address of
/// it, so that flood lists and the FDB are the same and only the number of tunnels differs.
struct ScaleSystem: System {
    static let networkCount = 1000
    static let addressCount = 10_000
    static let firstVLAN = 100
    static let firstVNI = 10_000

    var name: String { "Heddle, \(hostCount) hosts" }
    let binary: String
    /// Hosts besides alpha; a divisor of the number of addresses.
    let hostCount: Int
    /// Whether the networks and addresses are left to whoever wants to time them.
    var isBare = false

    var programs: [String] { [binary, "ethtool"] }
    var mtu: Int { Overlay.mtu }

    func start(at site: Site) throws {
        let pair = try HostPair(at: site, .wire)
        let addresses = (1...hostCount).map(Self.address)
        try pair.hosts[0].namespace.configure([
            "address add \(Self.address(0))/16 dev \(HostPair.device)"
        ])
        try pair.hosts[1].namespace.configure(
            addresses.map { "address add \($0)/16 dev \(HostPair.device)" })
        let files = Files(site.directory)
        try base(site.ports[0]).write(toFile: files.base, atomically: false, encoding: .utf8)
        try full(site.ports[0]).write(toFile: files.full, atomically: false, encoding: .utf8)
        try targets().write(toFile: files.targets, atomically: false, encoding: .utf8)
        try site.startHeddle(
            binary, ["--host", "alpha"], file: files.base, directory: site.directory)
        let remotes = try RemoteHosts(addresses, in: pair.hosts[1].namespace)
        site.resources.append(remotes)
        guard !isBare else { return }
        try client(site.directory, ["topology", "apply", files.full])
        try teach(by: remotes, directory: site.directory)
    }

    /// The topology files and the list of targets.
    struct Files {
        let base, full, targets: String

        init(_ directory: String) {
            base = "\(directory)/base.yaml"
            full = "\(directory)/full.yaml"
            targets = "\(directory)/targets"
        }
    }

    /// Runs a client command of the switch.
    @discardableResult
    func client(_ directory: String, _ arguments: [String]) throws -> String {
        try Program.run([binary] + arguments + ["--socket", "\(directory)/heddle.sock"])
    }

    /// Has every remote address seen by a switch that runs.
    func teach(at rig: Rig) throws {
        guard let remotes = rig.resources.compactMap({ $0 as? RemoteHosts }).first else {
            throw NotMeasured("nobody speaks for the remote hosts")
        }
        try teach(by: remotes, directory: rig.directory)
    }

    /// Has every remote address seen, until the switch knows all.
    private func teach(by remotes: RemoteHosts, directory: String) throws {
        struct Stats: Decodable {
            struct FDB: Decodable { let entries: Int }
            let fdb: FDB
        }
        let announcements = (0..<Self.addressCount).map { index in
            RemoteHosts.Announcement(
                host: host(of: index), vni: Self.firstVNI + network(of: index),
                mac: Self.mac(index))
        }
        var known = 0
        for _ in 0..<5 {
            try remotes.announce(announcements, to: Self.address(0))
            usleep(200_000)
            let text = try client(directory, ["stats", "--output", "json"])
            known = try JSONDecoder().decode(Stats.self, from: Data(text.utf8)).fdb.entries
            if known >= Self.addressCount { return }
        }
        throw NotMeasured("\(name) knows only \(known) of \(Self.addressCount) addresses")
    }

    // MARK: Who is where

    /// Of host `index`, with alpha as 0, on the underlay (RFC 2544 section C.2.2).
    private static func address(_ index: Int) -> String {
        "198.18.\(index / 250).\(index % 250 + 1)"
    }

    /// Addresses follow each other in blocks that are on one host, however many hosts there are, so
    /// that a burst of frames to successive ones goes to one host, or to two.
    private static let blockLength = 100

    private func host(of index: Int) -> Int { index / Self.blockLength % hostCount }

    /// Shifted by a block for each thousand: with ten hosts too, ten hosts have addresses of a network.
    private func network(of index: Int) -> Int {
        (index + index / Self.networkCount * Self.blockLength) % Self.networkCount
    }

    private static func mac(_ index: Int) -> [UInt8] {
        [0x02, 0x5C, 0xA1, UInt8(index >> 16), UInt8(index >> 8 & 0xFF), UInt8(index & 0xFF)]
    }

    private func targets() -> String {
        (0..<Self.addressCount).map { index in
            let mac = Self.mac(index).map { String(format: "%02x", $0) }.joined(separator: ":")
            return "\(Self.firstVLAN + network(of: index)) \(mac)"
        }.joined(separator: "\n")
    }

    // MARK: Files

    private func base(_ port: SwitchPort) -> String {
        """
        heddle: 1
        hosts: {alpha: {underlay: \(Self.address(0))}}
        networks: {base: {}}
        ports:
          p-0:
            host: alpha
            network: base
            tap: {namespace: \(port.namespace.name), device: \(port.device)}

        """
    }

    private func full(_ port: SwitchPort) -> String {
        let names = (0..<Self.networkCount).map { "n-\($0)" }
        var lines = ["heddle: 1", "hosts:", "  alpha: {underlay: \(Self.address(0))}"]
        var networks = [[String]](repeating: [], count: hostCount)
        for index in 0..<Self.addressCount {
            networks[host(of: index)].append(names[network(of: index)])
        }
        for (index, names) in networks.enumerated() {
            lines.append(
                "  h-\(index): {underlay: \(Self.address(index + 1)), "
                    + "networks: [\(Set(names).sorted().joined(separator: ", "))]}")
        }
        lines.append("networks:")
        for (index, name) in names.enumerated() {
            lines.append(
                "  \(name): {vlan: \(Self.firstVLAN + index), vni: \(Self.firstVNI + index), "
                    + "mtu: \(mtu)}")
        }
        lines += [
            "ports:", "  p-0:", "    host: alpha", "    trunk: [\(names.joined(separator: ", "))]",
            "    tap: {namespace: \(port.namespace.name), device: \(port.device)}",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
