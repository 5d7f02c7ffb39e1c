/// What the running switch has, as the controller found it.
package struct Observed: Sendable, Equatable {
    package var bridge: SwitchSpec
    package var networks: [NetworkSpec]
    package var ports: [ObservedPort]
    /// Namespaces that exist, of those that ports could use: whether Heddle made each.
    package var namespaces: [String: Bool]
    package var tunnels: [TunnelSpec]
    package var tunnelSettings: TunnelSettings
    /// The MTU of the route to the other end, by tunnel, of running and of wanted ones; where it is
    /// not known, nothing is said about what fits.
    package var underlayMTUs: [String: Int]

    package init(
        bridge: SwitchSpec = SwitchSpec(),
        networks: [NetworkSpec] = [],
        ports: [ObservedPort] = [],
        namespaces: [String: Bool] = [:],
        tunnels: [TunnelSpec] = [],
        tunnelSettings: TunnelSettings = TunnelSettings(),
        underlayMTUs: [String: Int] = [:]
    ) {
        self.bridge = bridge
        self.networks = networks
        self.ports = ports
        self.namespaces = namespaces
        self.tunnels = tunnels
        self.tunnelSettings = tunnelSettings
        self.underlayMTUs = underlayMTUs
    }
}

package struct ObservedPort: Sendable, Equatable {
    /// Whether the port can carry frames now.
    package enum Condition: Sendable, Equatable {
        case up
        /// The device is there and down, or its peer is: for a person to see, not to plan.
        case down(reason: String)
        case missingDevice
    }

    /// Who asked for the port: the topology; a person through `heddle port attach`; or nobody but
    /// a device that came, by a template or by its alias. The last follow what is declared and
    /// are in nobody's way: a plan does not look at them.
    package enum Origin: String, Sendable {
        case declared, attached, discovered
    }

    package var spec: PortSpec
    package var condition: Condition
    package var origin: Origin

    package init(spec: PortSpec, condition: Condition = .up, origin: Origin = .declared) {
        self.spec = spec
        self.condition = condition
        self.origin = origin
    }
}
