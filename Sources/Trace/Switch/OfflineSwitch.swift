import Dataplane
import Topology
import Wire

/// The switch that a topology describes, without devices, daemon or privilege: its snapshot, its
/// static FDB entries, and the function that forwards.
///
/// Everything declared is taken to be there: every port has somebody at its other end, and there is a
/// way to every other host, whose underlay's MTU is given. A pattern for devices is no port itself.
/// Its owner is one thread.
package final class OfflineSwitch {
    package let names: SwitchNames
    package let replay: Replay
    /// What this switch has, of a topology that spans hosts.
    package let topology: Topology

    /// - Parameters:
    ///   - host: which of the topology's hosts; nil for one without hosts.
    ///   - underlayMTU: what the paths to other hosts carry.
    package init(
        _ topology: Topology, host: String?, underlayMTU: Int = 1500
    ) throws(TraceError) {
        let part = try OfflineSwitch.part(of: topology, host: host)
        self.topology = part.topology
        let networks = part.topology.networks.enumerated().map { (UInt16($0 + 1), $1) }
        let domains = Dictionary(
            networks.map { ($0.1.name, $0.0) }, uniquingKeysWith: { first, _ in first })
        let ports = part.topology.ports.enumerated().map { (UInt16($0), $1) }
        let firstTunnel = UInt16(ports.count)
        let tunnels = part.tunnels.enumerated().map { (firstTunnel + UInt16($0), $1) }
        let firstUnderlay = firstTunnel + UInt16(tunnels.count)
        names = SwitchNames(ports: ports, tunnels: tunnels, networks: networks)

        let network = MemoryNetwork()
        let configuration = DataplaneConfiguration(
            domains: networks.map { number, spec in
                DomainConfiguration(
                    number: number, vid: spec.vlan?.rawValue ?? 0, mtu: UInt32(spec.mtu),
                    vni: spec.vni ?? 0)
            },
            ports: ports.map { number, spec in
                PortConfiguration(
                    number: number, membership: .init(spec.membership, domains), isUp: spec.up,
                    isIsolated: spec.isolated, isSticky: spec.sticky, hasPeer: !spec.isPattern,
                    port: SilentPort())
            },
            underlays: part.underlays.enumerated().map { place, spec in
                let local = UnderlayAddress(spec.local)
                return UnderlayConfiguration(
                    number: firstUnderlay + UInt16(place), local: local,
                    underlay: MemoryUnderlay(local, on: network))
            },
            tunnels: tunnels.map { number, spec in
                let place = part.underlays.firstIndex(of: spec.underlay) ?? 0
                return TunnelConfiguration(
                    number: number, underlay: firstUnderlay + UInt16(place),
                    encapsulation: .init(spec.kind), remote: UnderlayAddress(spec.remote),
                    domains: spec.networks.compactMap { domains[$0] },
                    maximumPacketByteCount: UInt32(
                        spec.overhead.maximumPacketByteCount(underlayMTU: underlayMTU)),
                    clampsMSS: topology.tunnelSettings.clampsMSS)
            })
        let bridge = topology.bridge
        replay = Replay(
            configuration, fdbLimit: bridge.fdbLimit, ageingSeconds: bridge.ageingSeconds,
            portLimits: ports.map { ($0.0, UInt32($0.1.fdbLimit ?? bridge.portFDBLimit)) })
        addStaticEntries(ports, tunnels, domains)
    }

    private static func part(
        of topology: Topology, host: String?
    ) throws(TraceError) -> HostPart {
        let declared = topology.hosts.map(\.name)
        guard let host else {
            guard declared.isEmpty else { throw .hostMissing(declared: declared) }
            return HostPart(whole: topology)
        }
        guard !declared.isEmpty else { throw .hostNotWanted(host) }
        do {
            return try topology.part(of: host)
        } catch {
            throw .unknownHost(host, declared: declared)
        }
    }

    private func addStaticEntries(
        _ ports: [(UInt16, PortSpec)], _ tunnels: [(UInt16, TunnelSpec)],
        _ domains: [String: UInt16]
    ) {
        for (number, port) in ports {
            for name in port.membership.networks {
                guard let domain = domains[name] else { continue }
                for address in port.staticMACs {
                    _ = replay.fdb.addStatic(
                        FDBKey(domain: domain, address: address), port: number, now: 0)
                }
            }
        }
        for (number, tunnel) in tunnels {
            for station in tunnel.staticMACs {
                guard let domain = domains[station.network] else { continue }
                _ = replay.fdb.addStatic(
                    FDBKey(domain: domain, address: station.mac), port: number, now: 0)
            }
        }
    }

    /// Explains a frame that comes from a port or tunnel; nothing is learned.
    ///
    /// - Parameter network: of a tunnel that carries several, which of them the frame is of.
    package func explain(
        _ frame: [UInt8], from port: String, network: String? = nil
    ) throws(TraceError) -> TraceReport {
        let ingress = try names.ingress(named: port)
        let domain = try names.ingressDomain(ingress, network: network)
        let explanation = frame.withUnsafeBytes { bytes in
            Explanation(
                of: bytes, ingress: ingress, domain: domain, snapshot: replay.snapshot,
                fdb: replay.fdb, isOwner: true, now: replay.now)
        }
        return TraceReport(explanation, frame: frame, ingress: ingress, names: names)
    }

    /// Learns from a frame, as the switch does that forwards it.
    package func learn(from frame: [UInt8], port: String, network: String? = nil) {
        guard let ingress = names.number(of: port),
            let domain = try? names.ingressDomain(ingress, network: network)
        else { return }
        frame.withUnsafeBytes { bytes in
            _ = replay.decide(
                bytes, originalByteCount: UInt32(bytes.count), ingress: ingress, domain: domain)
        }
    }
}

extension PortConfiguration.Membership {
    /// Every network of a valid topology has a domain, and one of a trunk a VLAN ID.
    fileprivate init(_ membership: Membership, _ domains: [String: UInt16]) {
        switch membership {
        case .access(let network): self = .access(domain: domains[network] ?? 0)
        case .trunk(let networks, let native):
            self = .trunk(
                domains: networks.compactMap { domains[$0] },
                native: native.flatMap { domains[$0] })
        }
    }
}

extension PortSpec {
    /// Whether it is a pattern for devices that become ports, and none itself.
    fileprivate var isPattern: Bool {
        if case .device(.match) = attachment { true } else { false }
    }
}
