import Wire

/// What one host carries out of a topology.
package struct HostPart: Sendable, Equatable {
    /// Nil for a topology without hosts, which is one switch's as a whole.
    package var host: HostSpec?
    /// The ports of this host only, networks with the VLAN IDs that they have here. It is a valid
    /// topology of its own, and its part for this host is this one again, but for the static
    /// addresses behind tunnels: hosts are kept, with all networks they take part in spelled out.
    package var topology: Topology
    /// One for each other host and encapsulation, hosts in the topology's order.
    package var tunnels: [TunnelSpec]
    /// One for each socket address that the tunnels need.
    package var underlays: [UnderlaySpec]
    /// What the file's author should know of the whole topology.
    package var notes: [TopologyNote]

    /// A topology that is this switch's as it stands.
    package init(whole topology: Topology) {
        host = nil
        self.topology = topology
        tunnels = []
        underlays = []
        notes = topology.notes
    }

    fileprivate init(
        host: HostSpec, topology: Topology, tunnels: [TunnelSpec], notes: [TopologyNote]
    ) {
        self.host = host
        self.topology = topology
        self.tunnels = tunnels
        self.notes = notes
        underlays = []
        for tunnel in tunnels where !underlays.contains(tunnel.underlay) {
            underlays.append(tunnel.underlay)
        }
    }
}

/// Why a topology has no part for a host.
package enum HostPartError: Error, Equatable, CustomStringConvertible {
    case unknownHost(String, declared: [String])

    package var description: String {
        switch self {
        case .unknownHost(let name, let declared):
            let near = nearestWord(to: name, among: declared)
                .map { " (did you mean '\($0)'?)" }
            let hint =
                near
                ?? (declared.count <= 8 ? "; it has \(keyList(declared, joinedBy: "and"))" : "")
            return "the topology has no host '\(name)'\(hint): "
                + "say which of its hosts this is with 'heddle run --host NAME'"
        }
    }
}

extension Topology {
    /// What the host of that name carries out; everything, where the topology has no hosts.
    ///
    /// Cost: linear in hosts × networks and in the memberships of ports.
    package func part(of host: String) throws(HostPartError) -> HostPart {
        guard !hosts.isEmpty else { return HostPart(whole: self) }
        let participation = Participation(self)
        guard let place = participation.hostIndex[host] else {
            throw .unknownHost(host, declared: hosts.map(\.name))
        }
        return HostPart(
            host: hosts[place], topology: local(place, participation),
            tunnels: tunnels(of: place, participation), notes: notes)
    }

    private func local(_ place: Int, _ participation: Participation) -> Topology {
        let host = hosts[place]
        var local = self
        local.locations = [:]
        local.ports = ports.filter { $0.host == host.name }
        for index in networks.indices {
            if let vlan = host.vlans[networks[index].name] { local.networks[index].vlan = vlan }
        }
        for index in hosts.indices {
            local.hosts[index].vlans = [:]
            guard index != place else { continue }
            local.hosts[index].networks = networks.indices.compactMap { network in
                networks[network].vni != nil && participation.contains(index, network)
                    ? networks[network].name : nil
            }
        }
        return local
    }

    private func tunnels(of place: Int, _ participation: Participation) -> [TunnelSpec] {
        var tunnels: [TunnelSpec] = []
        // Where each other host's stand, so that few are looked at for each address.
        var ranges: [Range<Int>] = []
        for remote in hosts.indices {
            let start = tunnels.count
            tunnels += self.tunnels(from: place, to: remote, participation)
            ranges.append(start..<tunnels.count)
        }
        guard !tunnels.isEmpty else { return [] }
        let host = hosts[place]
        for port in ports where port.host != host.name {
            let macs = port.declaredMACs
            guard !macs.isEmpty, let remote = port.host.flatMap({ participation.hostIndex[$0] })
            else { continue }
            for name in port.membership.networks {
                guard let network = participation.networkIndex[name], networks[network].vni != nil,
                    participation.contains(place, network)
                else { continue }
                let encapsulation = encapsulation(
                    of: networks[network], between: host, and: hosts[remote])
                for tunnel in ranges[remote] where tunnels[tunnel].encapsulation == encapsulation {
                    tunnels[tunnel].staticMACs += macs.map { .init(network: name, mac: $0) }
                }
            }
        }
        return tunnels
    }

    /// The tunnels between two hosts, given by their places, one for each encapsulation; without
    /// static addresses.
    func tunnels(
        from place: Int, to remote: Int, _ participation: Participation
    ) -> [TunnelSpec] {
        guard place != remote else { return [] }
        var tunnels: [TunnelSpec] = []
        let (host, other) = (hosts[place], hosts[remote])
        for index in networks.indices
        where participation.contains(place, index) && participation.contains(remote, index) {
            guard networks[index].vni != nil else { continue }
            let name = networks[index].name
            let encapsulation = encapsulation(of: networks[index], between: host, and: other)
            if let tunnel = tunnels.firstIndex(where: { $0.encapsulation == encapsulation }) {
                tunnels[tunnel].networks.append(name)
            } else {
                tunnels.append(
                    TunnelSpec(
                        host: other.name, encapsulation: encapsulation, local: host.underlay,
                        remote: other.underlay, networks: [name]))
            }
        }
        return tunnels
    }
}

extension PortSpec {
    /// Addresses of which the topology says that they live here.
    fileprivate var declaredMACs: [MACAddress] {
        guard let mac = attachment.madeDevice?.mac, !staticMACs.contains(mac) else {
            return staticMACs
        }
        return staticMACs + [mac]
    }
}
