/// A switch for virtual machines: what has vhost-user ports.
///
/// Unlike a ``System``, it gives no devices: its ports are sockets, and whoever plays the guests
/// (``Guests``) connects to them.
protocol VhostSystem: Sendable {
    /// In the table, such as "OVS-DPDK".
    var name: String { get }
    /// The programs that it cannot do without: names in PATH, or paths.
    var programs: [String] { get }
    /// Whether it is busy even when there is nothing to do, so that it has to be stopped while
    /// something else is measured on its core.
    var isPolling: Bool { get }
    /// Seconds of traffic until it has got used to the hosts.
    var settlingSeconds: Double { get }
    /// Makes the switch, which listens on these sockets when this returns.
    func start(at site: Site, sockets: [String]) throws
    /// Where its socket for a port is to be.
    func socket(_ port: Int, in directory: String) -> String
}

extension VhostSystem {
    var settlingSeconds: Double { 0.2 }
    func socket(_ port: Int, in directory: String) -> String { "\(directory)/vhost\(port)" }
}
