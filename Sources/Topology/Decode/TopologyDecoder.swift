import Wire

/// From a checked tree to a topology: what the values mean together.
///
/// Names are resolved and clashes found in one pass over the ports, with a dictionary for each
/// thing that must be unique; nothing here is quadratic.
struct TopologyDecoder {
    private var diagnostics: Diagnostics
    private var locations: [String: SourceLocation]
    private var networks: [NetworkSpec] = []
    private var networkIndex: [String: Int] = [:]
    private var networkByVLAN: [VLANID: String] = [:]

    private struct Place: Hashable {
        let scope: String
        let thing: String
    }
    /// Devices by namespace, stations by network, hosts' addresses by network: who has them.
    private var devices: [Place: String] = [:]
    private var stations: [Place: String] = [:]
    private var hosts: [Place: String] = [:]

    static func decode(_ bytes: [UInt8], file: String) throws(TopologyError) -> Topology {
        var diagnostics = Diagnostics()
        guard let root = YAMLTree.parse(bytes, diagnostics: &diagnostics) else {
            if diagnostics.problems.isEmpty {
                diagnostics.report(nil, "the file is empty: it must begin with 'heddle: 1'")
            }
            throw TopologyError(file: file, problems: diagnostics.problems)
        }
        var reader = SectionReader(diagnostics: diagnostics)
        let section = reader.read(
            root, as: .file, path: "", subject: "",
            location: SourceLocation(line: 1, column: 1))
        var decoder = TopologyDecoder(
            diagnostics: reader.diagnostics, locations: reader.locations)
        let topology = section.map { decoder.topology($0) }
        guard let topology, decoder.diagnostics.problems.isEmpty else {
            throw TopologyError(file: file, problems: decoder.diagnostics.problems)
        }
        return topology
    }

    private init(diagnostics: Diagnostics, locations: [String: SourceLocation]) {
        self.diagnostics = diagnostics
        self.locations = locations
    }

    private mutating func topology(_ root: Section) -> Topology {
        var bridge = SwitchSpec()
        if let section = root.section("switch") {
            bridge.ageingSeconds = section.integer("ageing") ?? bridge.ageingSeconds
            bridge.fdbLimit = section.integer("fdb-limit") ?? bridge.fdbLimit
            bridge.portFDBLimit =
                section.integer("port-fdb-limit") ?? min(bridge.portFDBLimit, bridge.fdbLimit)
        }
        for network in root.named("networks") { declareNetwork(network.name, network.section) }
        let ports = root.named("ports").compactMap { port($0.name, $0.section) }
        if networks.count > Topology.networkLimit {
            diagnostics.report(
                locations["networks"],
                "\(networks.count) networks are too many: the limit is \(Topology.networkLimit)")
        }
        return Topology(bridge: bridge, networks: networks, ports: ports, locations: locations)
    }

    // MARK: Networks

    private mutating func declareNetwork(_ name: String, _ section: Section) {
        if ValueKind.decimal(name) != nil {
            diagnostics.report(
                section.location,
                "network '\(name)': a name of digits only would read as a VLAN ID on a port")
        }
        let vlan = section.vlan("vlan")
        if let vlan {
            if let other = networkByVLAN[vlan] {
                diagnostics.report(
                    locations["\(section.path).vlan"],
                    "\(section.subject)VLAN \(vlan) is network '\(other)' already"
                        + place(of: "networks.\(other).vlan"))
            } else {
                networkByVLAN[vlan] = name
            }
        }
        networkIndex[name] = networks.count
        networks.append(
            NetworkSpec(
                name: name, vlan: vlan, mtu: section.integer("mtu") ?? NetworkSpec.defaultMTU))
    }

    /// ` (line 4)`, where the path's place is known.
    private func place(of path: String) -> String {
        locations[path].map { " (line \($0.line))" } ?? ""
    }

    /// The network's name; for a VLAN ID that no network has, a network made for it.
    private mutating func resolve(
        _ reference: NetworkReference, at location: SourceLocation?, subject: String
    ) -> String? {
        switch reference {
        case .name(let name):
            if networkIndex[name] != nil { return name }
            var hint = diagnostics.suggestion(for: name, among: networks.lazy.map(\.name))
            if networks.isEmpty {
                hint = ": no network is"
            } else if hint.isEmpty, networks.count <= 8 {
                hint = "; declared are \(keyList(networks.map(\.name), joinedBy: "and"))"
            }
            diagnostics.report(location, "\(subject)network '\(name)' is not declared\(hint)")
            return nil
        case .vlan(let vlan):
            if let name = networkByVLAN[vlan] { return name }
            let name = "vlan-\(vlan)"
            guard networkIndex[name] == nil else {
                diagnostics.report(
                    location,
                    "\(subject)VLAN \(vlan) has no network, and network '\(name)' is another one"
                        + "\(place(of: "networks.\(name)")): give it 'vlan: \(vlan)'")
                return nil
            }
            networkByVLAN[vlan] = name
            networkIndex[name] = networks.count
            networks.append(NetworkSpec(name: name, vlan: vlan))
            return name
        }
    }

    // MARK: Ports

    /// The port; nil when too little of it is right.
    private mutating func port(_ name: String, _ section: Section) -> PortSpec? {
        let membership = membership(section)
        let attachment = attachment(section)
        guard let membership, let attachment else { return nil }
        var port = PortSpec(name: name, membership: membership, attachment: attachment)
        port.isolated = section.boolean("isolated") ?? port.isolated
        port.fdbLimit = section.integer("fdb-limit")
        port.sticky = section.boolean("sticky") ?? port.sticky
        port.up = section.boolean("up") ?? port.up
        port.description = section.text("description")
        for element in section.list("static") ?? [] {
            guard case .mac(let mac) = element.value else { continue }
            port.staticMACs.append(mac)
            claimStation(mac, by: port, at: element.location, subject: section.subject)
        }
        if case .tap(let tap) = attachment { checkTAP(tap, of: port, section) }
        return port
    }

    private mutating func membership(_ section: Section) -> Membership? {
        let (path, subject) = (section.path, section.subject)
        if let reference = section.network("network") {
            return resolve(reference, at: locations["\(path).network"], subject: subject)
                .map { .access(network: $0) }
        }
        guard let elements = section.list("trunk") else { return nil }
        var names: [String] = []
        for element in elements {
            let location = element.location
            guard case .network(let reference) = element.value,
                let name = resolve(reference, at: location, subject: subject)
            else { continue }
            guard !names.contains(name) else {
                diagnostics.report(
                    location, "\(subject)network '\(name)' is in 'trunk' twice, once by its VLAN")
                continue
            }
            if let index = networkIndex[name], networks[index].vlan == nil,
                !isGiven("networks.\(name).vlan")
            {
                diagnostics.report(
                    location,
                    "\(subject)a trunk cannot carry network '\(name)', which has no VLAN ID: "
                        + "give it one with 'vlan:'\(place(of: "networks.\(name)"))")
            }
            names.append(name)
        }
        guard let native = section.network("native") else {
            return .trunk(networks: names, native: nil)
        }
        let nativeLocation = locations["\(path).native"]
        guard let name = resolve(native, at: nativeLocation, subject: subject) else { return nil }
        if names.count == elements.count, !names.contains(name) {
            diagnostics.report(
                nativeLocation, "\(subject)native network '\(name)' is not one of the trunk's")
        }
        return .trunk(networks: names, native: name)
    }

    /// Whether the file gives a value there, right or refused already.
    private func isGiven(_ path: String) -> Bool { locations[path] != nil }

    private func attachment(_ section: Section) -> Attachment? {
        if let tap = section.section("tap") {
            let addresses = (tap.list("address") ?? []).compactMap { element in
                if case .address(let address) = element.value { address } else { nil }
            }
            return .tap(
                TAPSpec(
                    namespace: tap.text("namespace"), device: tap.text("device"),
                    mac: tap.mac("mac"), addresses: addresses))
        }
        guard let pcap = section.section("pcap") else { return nil }
        return .pcap(PcapSpec(read: pcap.text("read"), write: pcap.text("write")))
    }

    // MARK: Clashes

    private mutating func checkTAP(_ tap: TAPSpec, of port: PortSpec, _ section: Section) {
        let path = "\(section.path).tap"
        let device = port.deviceName ?? port.name
        let scope = tap.namespace ?? ""
        if let other = devices.updateValue(port.name, forKey: Place(scope: scope, thing: device)) {
            let namespace =
                tap.namespace.map { "namespace '\($0)'" } ?? "the switch's namespace"
            diagnostics.report(
                locations["\(path).device"] ?? section.location,
                "\(section.subject)device '\(device)' in \(namespace) belongs to port '\(other)'"
                    + "\(place(of: "ports.\(other)")): give one of them another 'device'")
        }
        if let mac = tap.mac {
            claimStation(
                mac, by: port, at: locations["\(path).mac"], subject: section.subject + "tap: ")
        }
        guard let network = untaggedNetwork(of: port) else { return }
        for element in section.section("tap")?.list("address") ?? [] {
            guard case .address(let address) = element.value else { continue }
            let place = Place(scope: network, thing: "\(address.address)")
            if let other = hosts.updateValue(port.name, forKey: place) {
                let whose =
                    other == port.name
                    ? "is given twice"
                    : "belongs to port '\(other)' already\(self.place(of: "ports.\(other)"))"
                diagnostics.report(
                    element.location,
                    "\(section.subject)tap: \(address.address) on network '\(network)' \(whose)")
            }
        }
    }

    /// The network in which the device's own addresses live.
    private func untaggedNetwork(of port: PortSpec) -> String? {
        switch port.membership {
        case .access(let network): network
        case .trunk(_, let native): native
        }
    }

    /// Within a network a MAC address belongs to one port.
    private mutating func claimStation(
        _ mac: MACAddress, by port: PortSpec, at location: SourceLocation?, subject: String
    ) {
        var isReported = false
        for network in port.membership.networks {
            let place = Place(scope: network, thing: "\(mac)")
            guard let other = stations.updateValue(port.name, forKey: place), other != port.name,
                !isReported
            else { continue }
            isReported = true
            diagnostics.report(
                location,
                "\(subject)\(mac) on network '\(network)' belongs to port '\(other)' already"
                    + self.place(of: "ports.\(other)"))
        }
    }
}
