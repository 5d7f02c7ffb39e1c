/// Which hosts take part in which networks: those that have a port in it, and those that say so in
/// their `networks`.
///
/// One flag for each host and network: two million at the limits, and nothing else that is as fast
/// to fill and to ask. Cost: linear in hosts × networks and in the memberships of ports.
struct Participation {
    let hostIndex: [String: Int]
    let networkIndex: [String: Int]
    private let networkCount: Int
    private var flags: [Bool]

    init(_ topology: Topology) {
        hostIndex = Dictionary(
            topology.hosts.enumerated().map { ($1.name, $0) },
            uniquingKeysWith: { first, _ in first })
        networkIndex = Dictionary(
            topology.networks.enumerated().map { ($1.name, $0) },
            uniquingKeysWith: { first, _ in first })
        networkCount = topology.networks.count
        flags = Array(repeating: false, count: topology.hosts.count * networkCount)
        for (index, host) in topology.hosts.enumerated() {
            for network in host.networks { set(index, network) }
        }
        for port in topology.ports {
            guard let index = port.host.flatMap({ hostIndex[$0] }) else { continue }
            switch port.membership {
            case .access(let network): set(index, network)
            case .trunk(let networks, _): for network in networks { set(index, network) }
            }
        }
    }

    private mutating func set(_ host: Int, _ network: String) {
        guard let network = networkIndex[network] else { return }
        flags[host * networkCount + network] = true
    }

    /// Whether a host takes part in a network, both by their place in the topology.
    func contains(_ host: Int, _ network: Int) -> Bool { flags[host * networkCount + network] }

    /// The hosts in a network, in the topology's order.
    func hosts(in network: Int) -> [Int] {
        hostIndex.isEmpty
            ? [] : (0..<flags.count / networkCount).filter { flags[$0 * networkCount + network] }
    }
}
