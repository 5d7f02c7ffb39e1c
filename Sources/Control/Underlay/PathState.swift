import Wire

/// A way over the underlay that is to be followed: from one of this host's addresses to a peer's.
struct UnderlayPath: Hashable, Sendable {
    /// What its states are reported under, such as a tunnel's name; unique.
    var name: String
    var local: IPAddress
    var remote: IPAddress
}

/// What the kernel says of a path: whether it would send there, and how.
///
/// Up means that a datagram would leave this host, not that the peer answers.
struct PathState: Equatable, Sendable {
    var name: String
    var isUp: Bool
    /// Why the path is down and what to do about it, a sentence; nil when it is up.
    var reason: String?
    /// The device that datagrams leave by, or the one to blame.
    var device: String?
    /// The next hop; nil when the peer is on the link.
    var gateway: IPAddress?
    /// The IP MTU of the path: the device's, or less where a route or ICMP says so; nil when down.
    var mtu: Int?
    /// What is known of the next hop, such as "reachable", "stale", "failed" (RFC 4861 section
    /// 7.3.2) or "none"; nil when down. A failed one leaves the path up: sending is what probes it.
    var neighbour: String?

    static func up(
        _ name: String, device: String, gateway: IPAddress?, mtu: Int, neighbour: String
    ) -> PathState {
        PathState(
            name: name, isUp: true, device: device, gateway: gateway, mtu: mtu,
            neighbour: neighbour)
    }

    static func down(_ name: String, _ reason: String, device: String? = nil) -> PathState {
        PathState(name: name, isUp: false, reason: reason, device: device)
    }
}
