import Dataplane
import Topology

/// What the numbers of a snapshot mean: ports, tunnels and networks by their declarations.
package struct SwitchNames: Sendable {
    package enum Place: Sendable {
        case port(PortSpec)
        case tunnel(TunnelSpec)

        package var name: String {
            switch self {
            case .port(let port): port.name
            case .tunnel(let tunnel): tunnel.name
            }
        }
    }

    private let places: [UInt16: Place]
    private let numbers: [String: UInt16]
    private let networks: [UInt16: NetworkSpec]

    package init(
        ports: [(UInt16, PortSpec)], tunnels: [(UInt16, TunnelSpec)],
        networks: [(UInt16, NetworkSpec)]
    ) {
        let all =
            ports.map { ($0.0, Place.port($0.1)) } + tunnels.map { ($0.0, Place.tunnel($0.1)) }
        places = Dictionary(all, uniquingKeysWith: { first, _ in first })
        numbers = Dictionary(
            all.map { ($0.1.name, $0.0) }, uniquingKeysWith: { first, _ in first })
        self.networks = Dictionary(networks, uniquingKeysWith: { first, _ in first })
    }

    /// The number of a port or a tunnel.
    package func number(of name: String) -> UInt16? { numbers[name] }

    package func place(_ number: UInt16) -> Place? { places[number] }

    /// The name of a port or a tunnel; of one that is neither, its number.
    package func name(of number: UInt16) -> String { places[number]?.name ?? "port \(number)" }

    package func network(_ domain: UInt16) -> NetworkSpec? { networks[domain] }

    /// The domain of a network.
    package func domain(of network: String) -> UInt16? {
        networks.first { $0.value.name == network }?.key
    }

    /// Ports first, each kind in order of number.
    package var names: [String] {
        places.sorted { ($0.value.isTunnel ? 1 : 0, $0.key) < ($1.value.isTunnel ? 1 : 0, $1.key) }
            .map(\.value.name)
    }

    /// The domain of frames that come by a port or tunnel, of which a tunnel's must be told: the
    /// inner frame does not say it.
    ///
    /// - Returns: 0 for a port.
    package func ingressDomain(
        _ number: UInt16, network: String?
    ) throws(TraceError) -> UInt16 {
        guard case .tunnel(let tunnel)? = places[number] else {
            if let network { throw .networkOfPort(port: name(of: number), network: network) }
            return 0
        }
        let name = network ?? (tunnel.networks.count == 1 ? tunnel.networks[0] : "")
        guard tunnel.networks.contains(name), let domain = domain(of: name) else {
            throw .networkOfTunnel(
                tunnel: tunnel.name, network: network, networks: tunnel.networks)
        }
        return domain
    }

    /// The number of a port or tunnel that a person named.
    package func ingress(named name: String) throws(TraceError) -> UInt16 {
        guard let number = numbers[name] else {
            throw .unknownPort(name, known: names)
        }
        return number
    }
}

extension SwitchNames.Place {
    var isTunnel: Bool {
        if case .tunnel = self { true } else { false }
    }

    /// How frames of it are taken, in words.
    var membership: String {
        switch self {
        case .tunnel(let tunnel):
            return "tunnel to host \(tunnel.host), networks "
                + tunnel.networks.joined(separator: ", ")
        case .port(let port):
            var text: String
            switch port.membership {
            case .access(let network): text = "access port of network \(network)"
            case .trunk(let networks, let native):
                text = "trunk of \(networks.joined(separator: ", "))"
                text += native.map { ", native \($0)" } ?? ", no native network"
            }
            if port.isolated { text += ", isolated" }
            if port.sticky { text += ", sticky" }
            return port.up ? text : text + ", down"
        }
    }
}
