/// Two hosts joined by an underlay: network namespaces with a veth pair of MTU 1500 between them and
/// an address at each end.
///
/// A veth pair is no wire: as it comes, a super-frame crosses it in one piece, which is right for two
/// hosts on one machine and wrong for two machines. How much of that is allowed is the ``Underlay``.
struct HostPair {
    /// What the veth pair is made to be.
    enum Underlay: String, Sendable {
        /// Two hosts on one machine: all of veth's offloads are on.
        case sameHost = "host"
        /// What goes out is cut to datagrams that fit the MTU before it crosses. What comes in is
        /// delivered one by one, because a veth pair has no GRO of its own.
        case wire
        /// The same, and what comes in is put together by GRO, as the driver of a network card does
        /// it. A veth does so for a neighbour that has no TCP segmentation (which tunnels on a wire
        /// have no use for anyway).
        case card

        /// What is asked of ethtool at both ends.
        fileprivate var features: [String] {
            let segmentation = [
                "tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation", "tx-udp-segmentation",
            ]
            let cut = segmentation.flatMap { [$0, "off"] }
            return switch self {
            case .sameHost: []
            case .wire: cut
            case .card: cut + ["tso", "off", "gro", "on"]
            }
        }

        var description: String {
            switch self {
            case .sameHost: "veth underlay with all offloads"
            case .wire: "veth underlay without tunnel and UDP segmentation"
            case .card: "as wire, with GRO at the receiving end, as network cards have it"
            }
        }
    }

    /// A host, where a switch of its own runs.
    struct Host {
        let namespace: Namespace
        let name: String
        /// On the underlay.
        let address: String
    }

    /// The underlay's device at either end.
    static let device = "underlay"
    static let prefixLength = 24

    let hosts: [Host]

    /// Makes the second host and the pair. Addresses are left to whoever has to put them elsewhere.
    init(at site: Site, _ underlay: Underlay) throws {
        let other = try site.addNamespace()
        hosts = [
            Host(namespace: site.namespace, name: "alpha", address: "192.0.2.1"),
            Host(namespace: other, name: "beta", address: "192.0.2.2"),
        ]
        try site.namespace.configure([
            "link add \(Self.device) type veth peer name \(Self.device) netns \(other.name)"
        ])
        for host in hosts {
            try host.namespace.configure([
                "link set lo up",
                "link set \(Self.device) mtu 1500 txqueuelen \(Rig.queueLength) up",
            ])
            guard !underlay.features.isEmpty else { continue }
            try site.run(["ethtool", "-K", Self.device] + underlay.features, in: host.namespace)
        }
    }

    /// Gives each end its address.
    func address() throws {
        for host in hosts {
            try host.namespace.configure([
                "address add \(host.address)/\(Self.prefixLength) dev \(Self.device)"
            ])
        }
    }

    /// The host at the other end.
    func peer(of index: Int) -> Host { hosts[1 - index] }
}
