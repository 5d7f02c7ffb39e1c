import Wire

/// From a checked tree to a topology: what the values mean together.
///
/// Names are resolved and clashes found in one pass over the ports, with a dictionary for each
/// thing that must be unique; nothing here is quadratic.
struct TopologyDecoder {
    var diagnostics: Diagnostics
    var locations: [String: SourceLocation]
    var networks: [NetworkSpec] = []
    var networkIndex: [String: Int] = [:]
    var networkByVLAN: [VLANID: String] = [:]
    private var networkByVNI: [UInt32: String] = [:]
    var hosts: [HostSpec] = []
    /// Hosts that the file names, right or wrong, with the networks that `vlans` gives other VLAN
    /// IDs there.
    var hostVLANs: [String: [VLANID: String]] = [:]
    /// A host on which `vlans` gives the VLAN ID to a network.
    var hostByVLAN: [VLANID: String] = [:]
    var hostByUnderlay: [IPAddress: String] = [:]
    var areHostsKnown = true
    private var portCounts: [String?: Int] = [:]

    /// Where a thing must be unique: on a host, or on all of them (nil).
    struct Place<Thing: Hashable>: Hashable {
        let host: String?
        let scope: String
        let thing: Thing
    }
    /// Devices by host and namespace, sockets by host, stations and IP addresses by network: who
    /// has them.
    var devices: [Place<String>: String] = [:]
    var sockets: [Place<String>: String] = [:]
    var stations: [Place<MACAddress>: String] = [:]
    var addresses: [Place<IPAddress>: String] = [:]

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
            bridge.loopHoldSeconds = section.integer("loop-hold")
            bridge.loopProbeSeconds = section.integer("loop-probe")
            bridge.sflow = section.section("sflow").flatMap(sflow)
            bridge.recorder = section.boolean("recorder") ?? bridge.recorder
        }
        for network in root.named("networks") { declareNetwork(network.name, network.section) }
        for host in root.named("hosts") { hostVLANs[host.name] = [:] }
        // Where the hosts themselves cannot be read, ports are not told about theirs.
        areHostsKnown = !root.given.contains("hosts") || root.values["hosts"] != nil
        for host in root.named("hosts") { declareHost(host.name, host.section) }
        let ports = root.named("ports").compactMap { port($0.name, $0.section) }
        if networks.count > Topology.networkLimit {
            diagnostics.report(
                locations["networks"],
                "\(networks.count) networks are too many: the limit is \(Topology.networkLimit)")
        }
        var topology = Topology(
            bridge: bridge, hosts: hosts, networks: networks, ports: ports, locations: locations)
        if let section = root.section("overlay") {
            topology.overlay = encapsulation(section)
            topology.tunnelSettings.probes = section.boolean("probe") ?? false
            if let milliseconds = section.integer("probe-interval") {
                topology.tunnelSettings.probeMilliseconds = milliseconds
            }
            topology.tunnelSettings.clampsMSS = section.boolean("mss-clamp") ?? false
        }
        checkPortCounts()
        OverlayCheck(topology).report(to: &diagnostics)
        return topology
    }

    /// Nil when its collector was refused or is missing, which has been reported.
    private func sflow(_ section: Section) -> SFlowSpec? {
        guard let collector = section.endpoint("collector") else { return nil }
        var sflow = SFlowSpec(collector: collector)
        sflow.sampling = section.integer("sampling") ?? sflow.sampling
        sflow.pollingSeconds = section.integer("polling") ?? sflow.pollingSeconds
        sflow.headerByteCount = section.integer("header") ?? sflow.headerByteCount
        sflow.agent = section.host("agent")
        return sflow
    }

    private mutating func checkPortCounts() {
        for (host, count) in portCounts where count > Topology.portLimit {
            let subject = host.map { "host '\($0)': " } ?? ""
            diagnostics.report(
                locations[host.map { "hosts.\($0)" } ?? "ports"],
                "\(subject)\(count) ports are too many: the limit is \(Topology.portLimit)")
        }
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
        let vni = section.integer("vni").flatMap(UInt32.init(exactly:))
        if let vni, let other = networkByVNI.updateValue(name, forKey: vni) {
            diagnostics.report(
                locations["\(section.path).vni"],
                "\(section.subject)VNI \(vni) is network '\(other)' already"
                    + place(of: "networks.\(other).vni"))
        }
        var overlay: OverlaySpec?
        if let section = section.section("overlay") { overlay = encapsulation(section) }
        networkIndex[name] = networks.count
        networks.append(
            NetworkSpec(
                name: name, vlan: vlan, mtu: section.integer("mtu") ?? NetworkSpec.defaultMTU,
                vni: vni, overlay: overlay))
    }

    /// ` (line 4)`, where the path's place is known.
    func place(of path: String) -> String {
        locations[path].map { " (line \($0.line))" } ?? ""
    }

    /// The network's name; for a VLAN ID that no network has, a network made for it. Which network
    /// has a VLAN ID may depend on the host.
    mutating func resolve(
        _ reference: NetworkReference, on host: String?, at location: SourceLocation?,
        subject: String
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
            if let host, let name = hostVLANs[host]?[vlan] { return name }
            if let name = networkByVLAN[vlan] {
                guard let host, let other = hostVLANs[host]?.first(where: { $0.value == name })
                else { return name }
                diagnostics.report(
                    location,
                    "\(subject)VLAN \(vlan) has no network on host '\(host)', where network "
                        + "'\(name)' has VLAN \(other.key)"
                        + "\(place(of: "hosts.\(host).vlans.\(name)")): name the network")
                return nil
            }
            if let other = hostByVLAN[vlan] {
                diagnostics.report(
                    location,
                    "\(subject)VLAN \(vlan) has no network here, and is another one's on host "
                        + "'\(other)'\(place(of: "hosts.\(other).vlans")): name a network")
                return nil
            }
            let made = NetworkSpec(madeFor: vlan)
            let name = made.name
            guard networkIndex[name] == nil else {
                diagnostics.report(
                    location,
                    "\(subject)VLAN \(vlan) has no network, and network '\(name)' is another one"
                        + "\(place(of: "networks.\(name)")): give it 'vlan: \(vlan)'")
                return nil
            }
            networkByVLAN[vlan] = name
            networkIndex[name] = networks.count
            networks.append(made)
            return name
        }
    }

    // MARK: Ports

    /// The port; nil when too little of it is right.
    private mutating func port(_ name: String, _ section: Section) -> PortSpec? {
        let host = host(of: section)
        portCounts[host, default: 0] += 1
        let membership = membership(section, on: host)
        let attachment = attachment(section)
        guard let membership, let attachment else { return nil }
        var port = PortSpec(
            name: name, host: host, membership: membership, attachment: attachment)
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
        checkAttachment(of: port, section)
        return port
    }

    private mutating func membership(_ section: Section, on host: String?) -> Membership? {
        let (path, subject) = (section.path, section.subject)
        if let reference = section.network("network") {
            let location = locations["\(path).network"]
            return resolve(reference, on: host, at: location, subject: subject)
                .map { .access(network: $0) }
        }
        guard let elements = section.list("trunk") else { return nil }
        var names: [String] = []
        for element in elements {
            let location = element.location
            guard case .network(let reference) = element.value,
                let name = resolve(reference, on: host, at: location, subject: subject)
            else { continue }
            guard !names.contains(name) else {
                diagnostics.report(
                    location, "\(subject)network '\(name)' is in 'trunk' twice, once by its VLAN")
                continue
            }
            if let index = networkIndex[name], networks[index].vlan == nil,
                !isGiven("networks.\(name).vlan"),
                host.map({ !isGiven("hosts.\($0).vlans.\(name)") }) ?? true
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
        guard let name = resolve(native, on: host, at: nativeLocation, subject: subject) else {
            return nil
        }
        if names.count == elements.count, !names.contains(name) {
            diagnostics.report(
                nativeLocation, "\(subject)native network '\(name)' is not one of the trunk's")
        }
        return .trunk(networks: names, native: name)
    }

    /// Whether the file gives a value there, right or refused already.
    func isGiven(_ path: String) -> Bool { locations[path] != nil }
}
