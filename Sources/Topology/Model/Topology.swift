import Wire

/// A topology as its file declares it: what the switch should be. Decoding, validation, planning
/// and rendering are pure; carrying a plan out is the controller's business.
package struct Topology: Sendable {
    /// The `heddle:` number that this version reads and writes.
    package static let formatVersion = 1
    package static let networkLimit = 4094
    /// Ports of one switch.
    package static let portLimit = 4096
    package static let hostLimit = 512
    /// Ports of all hosts together.
    package static let filePortLimit = 16_384

    package var bridge: SwitchSpec
    /// In file order; empty for the topology of one switch.
    package var hosts: [HostSpec]
    /// The encapsulation where neither network nor host has one of its own.
    package var overlay: OverlaySpec
    package var tunnelSettings: TunnelSettings
    /// In file order; networks that only a raw VLAN ID on a port names follow the declared ones.
    package var networks: [NetworkSpec]
    /// In file order.
    package var ports: [PortSpec]
    /// Where things stand in the file, keyed by path, such as `ports.web-1.network`; empty for a
    /// topology that was not decoded. Not part of the topology's value.
    package var locations: [String: SourceLocation]

    package init(
        bridge: SwitchSpec = SwitchSpec(),
        hosts: [HostSpec] = [],
        overlay: OverlaySpec = OverlaySpec(),
        tunnelSettings: TunnelSettings = TunnelSettings(),
        networks: [NetworkSpec] = [],
        ports: [PortSpec] = [],
        locations: [String: SourceLocation] = [:]
    ) {
        self.bridge = bridge
        self.hosts = hosts
        self.overlay = overlay
        self.tunnelSettings = tunnelSettings
        self.networks = networks
        self.ports = ports
        self.locations = locations
    }

    /// The network of that name. Linear: build a dictionary where it is asked often.
    package func network(named name: String) -> NetworkSpec? {
        networks.first { $0.name == name }
    }

    /// The host of that name. Linear, as `network(named:)`.
    package func host(named name: String) -> HostSpec? {
        hosts.first { $0.name == name }
    }

    /// The port of that name. Linear, as `network(named:)`.
    package func port(named name: String) -> PortSpec? {
        ports.first { $0.name == name }
    }

    /// The MTU of the port's device: the largest of its networks', since a trunk's device must
    /// pass what any of them may carry. Each network's own limit is enforced per frame.
    package func deviceMTU(of port: PortSpec) -> Int {
        let names = Set(port.membership.networks)
        return networks.lazy.filter { names.contains($0.name) }.map(\.mtu).max()
            ?? NetworkSpec.defaultMTU
    }
}

extension Topology: Equatable {
    package static func == (left: Topology, right: Topology) -> Bool {
        left.bridge == right.bridge && left.hosts == right.hosts
            && left.overlay == right.overlay && left.tunnelSettings == right.tunnelSettings
            && left.networks == right.networks && left.ports == right.ports
    }
}
