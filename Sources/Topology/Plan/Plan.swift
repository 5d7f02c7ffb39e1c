/// How to get from what is to what is declared: the difference, in an order that disturbs nothing
/// else.
///
/// The order: the settings of switch and tunnels; namespaces made; networks added; tunnels removed;
/// ports detached; ports updated; ports attached and repaired; tunnels changed and added; networks
/// updated and removed; namespaces removed. So a port and a tunnel find their networks there, a
/// device name, an address or a MAC address is given up before another port takes it, and nothing
/// is removed while a port or a tunnel uses it. For a moment an old and a new network may share a VLAN ID (a renamed network): they are different
/// bridge domains, and a trunk is told only its own.
///
/// A port whose attachment stays the same device is updated in place, whatever else changes. Only
/// another kind, namespace, device name, socket or file makes it detach and attach again.
///
/// Ports that a person attached are not the topology's: they are left alone, and what would break
/// them is refused. Cost: linear, with dictionaries by name.
package struct Plan: Sendable, Equatable {
    package var actions: [Action]
    /// What to know besides: nothing is done about it, and a plan with notes only is empty.
    package var notes: [String]

    package init(actions: [Action] = [], notes: [String] = []) {
        self.actions = actions
        self.notes = notes
    }

    package var isEmpty: Bool { actions.isEmpty }
}

/// Why a topology cannot be planned on the switch as it is.
package enum PlanError: Error, Equatable, CustomStringConvertible {
    /// The topology declares a port of a name that a person gave to another.
    case portNameTaken(String)
    /// The topology declares a device that an attached port has.
    case deviceTaken(port: String, device: String, attached: String)
    /// The topology declares a socket that an attached port has.
    case socketTaken(port: String, path: String, attached: String)
    /// The topology lacks a network that an attached port is in.
    case networkInUse(network: String, attached: String)
    /// The topology takes the VLAN ID from a network whose attached port is a trunk.
    case vlanInUse(network: String, attached: String)

    package var description: String {
        switch self {
        case .portNameTaken(let name):
            "port '\(name)' was attached by hand: detach it "
                + "('heddle port detach \(name)') or call the declared one differently"
        case .deviceTaken(let port, let device, let attached):
            "port '\(port)': device '\(device)' belongs to port '\(attached)', which was attached "
                + "by hand: detach that ('heddle port detach \(attached)') or name another device"
        case .socketTaken(let port, let path, let attached):
            "port '\(port)': socket '\(path)' belongs to port '\(attached)', which was attached "
                + "by hand: detach that ('heddle port detach \(attached)') or name another socket"
        case .networkInUse(let network, let attached):
            "network '\(network)' cannot be removed while port '\(attached)', attached by hand, "
                + "is in it: detach that first ('heddle port detach \(attached)')"
        case .vlanInUse(let network, let attached):
            "network '\(network)' cannot lose its VLAN ID while port '\(attached)', attached by "
                + "hand, is a trunk of it: detach that first ('heddle port detach \(attached)')"
        }
    }
}

extension Plan {
    /// The plan for a topology that is this switch's as a whole.
    package static func make(
        desired: Topology, observed: Observed
    ) throws(PlanError) -> Plan {
        try make(desired: HostPart(whole: desired), observed: observed)
    }

    /// The plan for one host's part of a topology.
    package static func make(
        desired part: HostPart, observed: Observed
    ) throws(PlanError) -> Plan {
        let desired = part.topology
        let attached = observed.ports.filter { $0.origin == .attached }.map(\.spec)
        try refuseClashes(of: desired, with: attached)

        var actions: [Action] = []
        if desired.bridge != observed.bridge {
            actions.append(.updateSwitch(from: observed.bridge, to: desired.bridge))
        }
        let namespaces = NamespaceChange(desired: desired, observed: observed, attached: attached)
        let networks = NetworkChange(desired: desired, observed: observed, attached: attached)
        let ports = PortChange(desired: desired, observed: observed)
        let tunnels = TunnelChange(desired: part.tunnels, observed: observed.tunnels)
        if desired.tunnelSettings != observed.tunnelSettings {
            actions.append(
                .updateTunnelSettings(from: observed.tunnelSettings, to: desired.tunnelSettings))
        }
        actions += namespaces.created.map { .createNamespace($0) }
        actions += networks.added.map { .addNetwork($0) }
        actions += tunnels.removed.map { .removeTunnel($0) }
        actions += ports.detached.map { .detachPort($0) }
        actions += ports.updated.map { .updatePort(from: $0.from, to: $0.to) }
        actions += ports.attached
        actions += tunnels.changed
        actions += tunnels.added.map { .addTunnel($0) }
        actions += networks.updated
        actions += networks.removed.map { .removeNetwork($0) }
        actions += namespaces.removed.map { .removeNamespace($0) }
        return Plan(
            actions: actions,
            notes: part.notes.map(\.message)
                + UnderlayFit(part, underlayMTUs: observed.underlayMTUs).notes)
    }

    private static func refuseClashes(
        of desired: Topology, with attached: [PortSpec]
    ) throws(PlanError) {
        guard !attached.isEmpty else { return }
        let declared = Set(desired.ports.map(\.name))
        let networks = Dictionary(
            desired.networks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var owners: [Possession: String] = [:]
        for port in attached {
            if declared.contains(port.name) { throw .portNameTaken(port.name) }
            for name in port.membership.networks {
                guard let network = networks[name] else {
                    throw .networkInUse(network: name, attached: port.name)
                }
                if case .trunk = port.membership, network.vlan == nil {
                    throw .vlanInUse(network: name, attached: port.name)
                }
            }
            for thing in port.possessions { owners[thing] = port.name }
        }
        for port in desired.ports {
            for thing in port.possessions {
                guard let owner = owners[thing] else { continue }
                switch thing {
                case .device(_, let name):
                    throw .deviceTaken(port: port.name, device: name, attached: owner)
                case .socket(let path):
                    throw .socketTaken(port: port.name, path: path, attached: owner)
                }
            }
        }
    }
}

/// What only one port can have.
private enum Possession: Hashable {
    /// Names are unique within a namespace.
    case device(namespace: String?, name: String)
    case socket(String)
}

extension PortSpec {
    fileprivate var possessions: [Possession] {
        switch attachment {
        case .tap, .veth:
            [
                deviceName.map { .device(namespace: namespace, name: $0) },
                switchEndName.map { .device(namespace: nil, name: $0) },
            ].compactMap(\.self)
        case .device(.name(let name)): [.device(namespace: nil, name: name)]
        case .vhostUser(let card): [.socket(SocketPath.normalized(card.socket))]
        case .socket(let socket):
            [socket.socketPath, socket.peer].compactMap(\.self)
                .map { .socket(SocketPath.normalized($0)) }
        case .device(.match), .pcap: []
        }
    }
}

private struct NamespaceChange {
    var created: [String] = []
    var removed: [String] = []

    init(desired: Topology, observed: Observed, attached: [PortSpec]) {
        var wanted: Set<String> = []
        for name in desired.ports.compactMap(\.namespace) where wanted.insert(name).inserted {
            if observed.namespaces[name] == nil { created.append(name) }
        }
        wanted.formUnion(attached.compactMap(\.namespace))
        removed = observed.namespaces.filter { $0.value && !wanted.contains($0.key) }.keys.sorted()
    }
}

private struct NetworkChange {
    var added: [NetworkSpec] = []
    var updated: [Action] = []
    var removed: [NetworkSpec] = []

    init(desired: Topology, observed: Observed, attached: [PortSpec]) {
        let present = Dictionary(
            observed.networks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let changed = desired.networks.filter { network in
            present[network.name].map { $0 != network } ?? false
        }
        var members: [String: [String]] = [:]
        if !changed.isEmpty {
            for port in desired.ports + attached {
                for network in port.membership.networks {
                    members[network, default: []].append(port.name)
                }
            }
        }
        added = desired.networks.filter { present[$0.name] == nil }
        updated = changed.compactMap { network in
            present[network.name].map {
                .updateNetwork(from: $0, to: network, ports: members[network.name] ?? [])
            }
        }
        let wanted = Set(desired.networks.map(\.name))
        removed = observed.networks.filter { !wanted.contains($0.name) }
    }
}

private struct PortChange {
    var detached: [PortSpec] = []
    var updated: [(from: PortSpec, to: PortSpec)] = []
    /// Attached and repaired, in the topology's order.
    var attached: [Action] = []

    init(desired: Topology, observed: Observed) {
        let declared = observed.ports.filter { $0.origin == .declared }
        let present = Dictionary(
            declared.map { ($0.spec.name, $0) }, uniquingKeysWith: { first, _ in first })
        let wanted = Dictionary(
            desired.ports.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for port in declared {
            guard let target = wanted[port.spec.name] else {
                detached.append(port.spec)
                continue
            }
            if Self.isReplaced(port, by: target) { detached.append(port.spec) }
        }
        for port in desired.ports {
            guard let current = present[port.name], !Self.isReplaced(current, by: port) else {
                attached.append(.attachPort(port))
                continue
            }
            if current.spec != port {
                updated.append((current.spec, port))
            } else if current.lacksMadeDevice {
                attached.append(.repairPort(port))
            }
        }
    }

    /// Whether the attachment has to be made anew: it is another one, or there is no device left
    /// on which a change could be made.
    private static func isReplaced(_ port: ObservedPort, by target: PortSpec) -> Bool {
        if port.lacksMadeDevice, port.spec != target { return true }
        return switch (port.spec.attachment, target.attachment) {
        case (.tap, .tap), (.veth, .veth):
            port.spec.namespace != target.namespace || port.spec.deviceName != target.deviceName
        case (let from, let to): from != to
        }
    }
}

extension ObservedPort {
    /// A device that is not Heddle's comes back by itself or not at all.
    fileprivate var lacksMadeDevice: Bool {
        condition == .missingDevice && spec.attachment.madeDevice != nil
    }
}

extension TunnelSpec {
    /// Whether nothing but the order in which things are listed differs.
    fileprivate func isSame(as other: TunnelSpec) -> Bool {
        if self == other { return true }
        guard local == other.local, remote == other.remote, networks.count == other.networks.count,
            staticMACs.count == other.staticMACs.count
        else { return false }
        return Set(networks) == Set(other.networks) && Set(staticMACs) == Set(other.staticMACs)
    }
}

private struct TunnelChange {
    var removed: [String] = []
    var changed: [Action] = []
    var added: [TunnelSpec] = []

    init(desired: [TunnelSpec], observed: [TunnelSpec]) {
        let present = Dictionary(
            observed.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for tunnel in desired {
            guard let current = present[tunnel.name] else {
                added.append(tunnel)
                continue
            }
            if !current.isSame(as: tunnel) {
                changed.append(.changeTunnel(from: current, to: tunnel))
            }
        }
        let wanted = Set(desired.map(\.name))
        removed = observed.map(\.name).filter { !wanted.contains($0) }
    }
}
