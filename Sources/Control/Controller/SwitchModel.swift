import Dataplane
import Ports
import Topology
import Trace
import Wire

/// What the switch has now: the controller's picture of itself, as one value.
///
/// An apply changes a copy of it step by step and keeps the old one for the way back; the dataplane's
/// configuration is computed from it and from nothing else.
struct SwitchModel: Sendable {
    var bridge = SwitchSpec()
    /// In the order of the topology.
    var networks: [NetworkSpec] = []
    /// Bridge domain numbers by network name, from 1.
    var domains: [String: UInt16] = [:]
    /// In the order of the topology, attached ones last.
    var ports: [LivePort] = []
    var namespaces: [String: LiveNamespace] = [:]
    /// Static entries that a person added; those of a port's `static:` are in its spec.
    var staticEntries: [StaticEntry] = []
    /// What was declared, of all hosts, where the topology has hosts; nil for one switch's own.
    var document: Topology?
    /// Which of the hosts this is.
    var host: HostSpec?
    var tunnelSettings = TunnelSettings()
    var tunnels: [LiveTunnel] = []
    var underlays: [LiveUnderlay] = []
    /// Name of the document that was applied last.
    var documentName = ""
    /// Where things stand in it.
    var locations: [String: SourceLocation] = [:]
    /// Why devices that were meant to be ports are none.
    var discoveryProblems: [String] = []

    func port(named name: String) -> LivePort? { ports.first { $0.spec.name == name } }

    func port(numbered number: UInt16) -> LivePort? { ports.first { $0.number == number } }

    func tunnel(named name: String) -> LiveTunnel? { tunnels.first { $0.spec.name == name } }

    /// What has counters of its own, by name: ports, tunnels, and underlays.
    var countedNames: [(name: String, number: UInt16)] {
        ports.map { ($0.spec.name, $0.number) } + tunnels.map { ($0.spec.name, $0.number) }
            + underlays.map { ($0.spec.name, $0.number) }
    }

    /// The number of a port or a tunnel.
    func number(named name: String) -> UInt16? {
        port(named: name)?.number ?? tunnel(named: name)?.number
    }

    func network(named name: String) -> NetworkSpec? { networks.first { $0.name == name } }

    func network(inDomain number: UInt16) -> NetworkSpec? {
        networks.first { domains[$0.name] == number }
    }

    /// The declared part as a topology; with the attached ports when `includesAttached`.
    func topology(includesAttached: Bool = false) -> Topology {
        if var document {
            if includesAttached {
                document.ports += ports.filter { $0.origin == .attached }.map(\.spec)
            }
            return document
        }
        return Topology(
            bridge: bridge, networks: networks,
            ports: ports.filter { includesAttached || $0.origin == .declared }.map(\.spec))
    }

    /// What this switch has: its networks and its own ports, attached ones too.
    var localTopology: Topology {
        Topology(
            bridge: bridge, hosts: document?.hosts ?? [], tunnelSettings: tunnelSettings,
            networks: networks, ports: ports.map(\.spec))
    }

    var observed: Observed {
        Observed(
            bridge: bridge, networks: networks,
            ports: ports.filter { $0.origin != .discovered }.map {
                ObservedPort(spec: $0.spec, condition: $0.condition, origin: $0.origin)
            },
            namespaces: namespaces.mapValues(\.isOurs), tunnels: tunnels.map(\.spec),
            tunnelSettings: tunnelSettings)
    }

    /// The dataplane's configuration that carries this out.
    func configuration(workers: Int, captures: [CaptureTap]) -> DataplaneConfiguration {
        var byName: [String: NetworkSpec] = [:]
        // In the middle of an apply, before networks are removed, a new one may have the VNI of an
        // old one: it is the old one's until then.
        var owners: [UInt32: String] = [:]
        for network in networks {
            byName[network.name] = network
            if let vni = network.vni, owners[vni] == nil { owners[vni] = network.name }
        }
        func vni(of network: NetworkSpec?) -> UInt32? {
            guard let network, let vni = network.vni, owners[vni] == network.name else {
                return nil
            }
            return vni
        }
        return DataplaneConfiguration(
            domains: networks.compactMap { network in
                domains[network.name].map {
                    DomainConfiguration(
                        number: $0, vid: network.vlan?.rawValue ?? 0, mtu: UInt32(network.mtu),
                        vni: vni(of: network) ?? 0)
                }
            },
            ports: ports.compactMap { port in
                membership(port.spec.membership).map {
                    PortConfiguration(
                        number: port.number, membership: $0, isUp: port.spec.up && port.hold == nil,
                        isIsolated: port.spec.isolated, isSticky: port.spec.sticky,
                        hasPeer: port.hasPeer, worker: Int(port.number) % workers,
                        port: port.attachment)
                }
            },
            underlays: underlays.map { underlay in
                UnderlayConfiguration(
                    number: underlay.number, local: UnderlayAddress(underlay.spec.local),
                    worker: Int(underlay.number) % workers, underlay: underlay.sockets)
            },
            tunnels: tunnels.compactMap { tunnel in
                underlays.first { $0.spec == tunnel.spec.underlay }.map { underlay in
                    TunnelConfiguration(
                        number: tunnel.number, underlay: underlay.number,
                        encapsulation: Encapsulation(tunnel.spec.kind),
                        remote: UnderlayAddress(tunnel.spec.remote),
                        domains: tunnel.spec.networks.compactMap {
                            vni(of: byName[$0]) == nil ? nil : domains[$0]
                        },
                        isUp: tunnel.reason == nil,
                        maximumPacketByteCount: UInt32(tunnel.maximumPacketByteCount),
                        clampsMSS: tunnelSettings.clampsMSS)
                }
            },
            captures: captures)
    }

    /// Nil while a network of the port is not there, or has no VLAN ID for a trunk: in the middle
    /// of an apply, which updates ports before networks.
    private func membership(_ membership: Membership) -> PortConfiguration.Membership? {
        switch membership {
        case .access(let network): return domains[network].map { .access(domain: $0) }
        case .trunk(let networks, let native):
            let tagged = Set(self.networks.filter { $0.vlan != nil }.map(\.name))
            let numbers = networks.compactMap { tagged.contains($0) ? domains[$0] : nil }
            guard numbers.count == networks.count else { return nil }
            return .trunk(domains: numbers, native: native.flatMap { domains[$0] })
        }
    }

    /// Static FDB entries that this model wants: of ports' `static:` and of people.
    var wantedStaticEntries: Set<StaticEntry> {
        var result = Set(staticEntries)
        for port in ports {
            for network in port.spec.membership.networks {
                for address in port.spec.staticMACs {
                    result.insert(
                        StaticEntry(network: network, address: address, port: port.spec.name))
                }
            }
        }
        for tunnel in tunnels {
            for station in tunnel.spec.staticMACs {
                result.insert(
                    StaticEntry(
                        network: station.network, address: station.mac, port: tunnel.spec.name))
            }
        }
        return result
    }
}

/// A static FDB entry by names.
struct StaticEntry: Hashable, Sendable {
    var network: String
    var address: MACAddress
    /// A port's, or a tunnel's.
    var port: String
}

/// A namespace that ports use, kept open so that its name cannot come to mean another.
struct LiveNamespace: Sendable {
    var namespace: NetworkNamespace
    var isOurs: Bool
}
