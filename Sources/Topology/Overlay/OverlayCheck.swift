import Wire

/// What hosts, networks and encapsulations must not be together: the mistakes that show only when
/// all hosts, networks and ports are known.
///
/// Each network is looked at with the hosts in it, and each kind of mistake is told once for a pair
/// of hosts, at the later of the two. Cost: linear in hosts × networks; pairs of hosts are formed
/// only in a file that uses GRE and NVGRE both.
struct OverlayCheck {
    private let topology: Topology
    private let participation: Participation

    init(_ topology: Topology) {
        self.topology = topology
        participation = Participation(topology)
    }

    func report(to diagnostics: inout Diagnostics) {
        checkPorts(&diagnostics)
        var mixedFamilies: Set<Pair> = []
        var contradictions: Set<Pair> = []
        for (index, network) in topology.networks.enumerated() where network.vni != nil {
            let hosts = participation.hosts(in: index)
            if let pair = mixedFamily(hosts), mixedFamilies.insert(pair).inserted {
                reportMixedFamily(pair, network, &diagnostics)
            }
            if network.overlay == nil, let pair = contradiction(hosts),
                contradictions.insert(pair).inserted
            {
                reportContradiction(pair, network, &diagnostics)
            }
            checkVNI(of: network, hosts, &diagnostics)
        }
        checkGREKinds(&diagnostics)
    }

    /// Two hosts by their place in the topology, the earlier first.
    private struct Pair: Hashable {
        let first: Int
        let second: Int

        init(_ left: Int, _ right: Int) {
            first = min(left, right)
            second = max(left, right)
        }
    }

    private func line(_ path: String) -> String {
        topology.locations[path].map { " (line \($0.line))" } ?? ""
    }

    // MARK: UDP ports

    /// A host binds each UDP port once.
    private func checkPorts(_ diagnostics: inout Diagnostics) {
        var users: [UInt16: (kind: OverlayKind, path: String)] = [:]
        func check(_ overlay: OverlaySpec, _ path: String, _ subject: String) {
            guard let port = overlay.port else { return }
            guard let user = users[port] else {
                users[port] = (overlay.kind, path)
                return
            }
            guard user.kind != overlay.kind else { return }
            diagnostics.report(
                topology.locations["\(path).port"] ?? topology.locations[path],
                "\(subject)overlay: UDP port \(port) carries \(user.kind.rawValue) already"
                    + "\(line(user.path)), and cannot carry \(overlay.kind.rawValue) as well: "
                    + "give one of them another 'port'")
        }
        let isUsed = topology.networks.contains { $0.vni != nil && $0.overlay == nil }
        if isUsed || topology.locations["overlay"] != nil {
            check(topology.overlay, "overlay", "")
        }
        for network in topology.networks {
            guard let overlay = network.overlay else { continue }
            check(overlay, "networks.\(network.name).overlay", "network '\(network.name)': ")
        }
        for host in topology.hosts {
            guard let overlay = host.overlay else { continue }
            check(overlay, "hosts.\(host.name).overlay", "host '\(host.name)': ")
        }
    }

    // MARK: Address families

    private func mixedFamily(_ hosts: [Int]) -> Pair? {
        guard let first = hosts.first else { return nil }
        let width = topology.hosts[first].underlay.bitWidth
        return hosts.first { topology.hosts[$0].underlay.bitWidth != width }
            .map { Pair(first, $0) }
    }

    private func reportMixedFamily(
        _ pair: Pair, _ network: NetworkSpec, _ diagnostics: inout Diagnostics
    ) {
        let (first, second) = (topology.hosts[pair.first], topology.hosts[pair.second])
        diagnostics.report(
            topology.locations["hosts.\(second.name).underlay"],
            "host '\(second.name)': \(second.underlay) cannot reach host '\(first.name)' at "
                + "\(first.underlay)\(line("hosts.\(first.name)")), which is in network "
                + "'\(network.name)' too: give both an IPv4 or both an IPv6 underlay")
    }

    // MARK: Encapsulations

    /// Two hosts that each ask for an encapsulation of its own.
    private func contradiction(_ hosts: [Int]) -> Pair? {
        let asking = hosts.filter { topology.hosts[$0].overlay != nil }
        guard let first = asking.first else { return nil }
        let overlay = topology.hosts[first].overlay
        return asking.first { topology.hosts[$0].overlay != overlay }.map { Pair(first, $0) }
    }

    private func reportContradiction(
        _ pair: Pair, _ network: NetworkSpec, _ diagnostics: inout Diagnostics
    ) {
        let (first, second) = (topology.hosts[pair.first], topology.hosts[pair.second])
        guard let ours = second.overlay, let theirs = first.overlay else { return }
        diagnostics.report(
            topology.locations["hosts.\(second.name).overlay"],
            "host '\(second.name)': overlay \(ours.name) contradicts host '\(first.name)', which "
                + "has \(theirs.name)\(line("hosts.\(first.name).overlay")), for network "
                + "'\(network.name)': give both the same, or the network an 'overlay'")
    }

    /// Whether the VNI is one that every kind in use for the network can carry.
    private func checkVNI(
        of network: NetworkSpec, _ hosts: [Int], _ diagnostics: inout Diagnostics
    ) {
        guard let vni = network.vni else { return }
        var kinds: Set<OverlayKind> = []
        if let overlay = network.overlay {
            kinds.insert(overlay.kind)
        } else {
            let asked = hosts.compactMap { topology.hosts[$0].overlay?.kind }
            kinds.formUnion(asked)
            // Between two hosts that ask for nothing the topology's holds.
            if asked.isEmpty || hosts.count - asked.count > 1 {
                kinds.insert(topology.overlay.kind)
            }
        }
        for kind in OverlayKind.allCases where kinds.contains(kind) && !kind.vniRange.contains(vni)
        {
            diagnostics.report(
                topology.locations["networks.\(network.name).vni"],
                "network '\(network.name)': \(kind.rawValue) reserves VNI \(vni) (RFC 7637): use "
                    + "\(kind.vniRange.lowerBound) to \(kind.vniRange.upperBound)")
        }
    }

    /// NVGRE is GRE whose key is cut in two: between two hosts a packet must be one or the other.
    private func checkGREKinds(_ diagnostics: inout Diagnostics) {
        let all =
            [topology.overlay] + topology.networks.compactMap(\.overlay)
            + topology.hosts.compactMap(\.overlay)
        guard Set(all.map(\.kind)).isSuperset(of: [.gre, .nvgre]) else { return }
        // The network that settled the kind between two hosts, by their places.
        var settled: [Pair: (kind: OverlayKind, network: String)] = [:]
        for (index, network) in topology.networks.enumerated() where network.vni != nil {
            let hosts = participation.hosts(in: index)
            var isReported = false
            for (place, left) in hosts.enumerated() where !isReported {
                for right in hosts[(place + 1)...] where !isReported {
                    let (first, second) = (topology.hosts[left], topology.hosts[right])
                    let kind = topology.encapsulation(of: network, between: first, and: second).kind
                    guard kind == .gre || kind == .nvgre else { continue }
                    let pair = Pair(left, right)
                    guard let other = settled[pair] else {
                        settled[pair] = (kind, network.name)
                        continue
                    }
                    guard other.kind != kind else { continue }
                    isReported = true
                    let path = "networks.\(network.name)"
                    diagnostics.report(
                        topology.locations["\(path).overlay"] ?? topology.locations[path],
                        "network '\(network.name)': \(kind.rawValue) between hosts "
                            + "'\(first.name)' and '\(second.name)', where network "
                            + "'\(other.network)' has \(other.kind.rawValue)"
                            + "\(line("networks.\(other.network)")): they cannot be told apart, "
                            + "use one of them")
                }
            }
        }
    }
}
