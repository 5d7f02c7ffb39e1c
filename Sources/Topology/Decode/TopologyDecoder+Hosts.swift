import Wire

/// Hosts, encapsulations, and which host a port is on.
extension TopologyDecoder {
    mutating func encapsulation(_ section: Section) -> OverlaySpec {
        let kind = section.text("kind").flatMap(OverlayKind.init(rawValue:)) ?? .vxlan
        let port = section.integer("port").flatMap(UInt16.init(exactly:))
        if port != nil, kind.defaultPort == nil {
            diagnostics.report(
                locations["\(section.path).port"],
                "\(section.subject)\(kind.rawValue) has no ports: leave 'port' out")
        }
        return OverlaySpec(kind: kind, port: port)
    }

    mutating func declareHost(_ name: String, _ section: Section) {
        let (path, subject) = (section.path, section.subject)
        var vlans: [String: VLANID] = [:]
        for pair in section.pairs("vlans") {
            guard case .vlan(let vlan) = pair.value,
                let network = resolve(
                    .name(pair.name), on: nil, at: pair.keyLocation, subject: subject + "vlans: ")
            else { continue }
            vlans[network] = vlan
        }
        for pair in section.pairs("vlans") {
            guard case .vlan(let vlan) = pair.value, vlans[pair.name] != nil else { continue }
            let own = networkByVLAN[vlan].flatMap { vlans[$0] == nil ? $0 : nil }
            if let other = hostVLANs[name]?.updateValue(pair.name, forKey: vlan) ?? own {
                diagnostics.report(
                    pair.location,
                    "\(subject)vlans: VLAN \(vlan) is network '\(other)' already"
                        + place(of: own == nil ? "\(path).vlans.\(other)" : "networks.\(other)"))
            }
            hostByVLAN[vlan] = name
        }
        var names: [String] = []
        for element in section.list("networks") ?? [] {
            guard case .network(let reference) = element.value,
                let network = resolve(
                    reference, on: name, at: element.location, subject: subject)
            else { continue }
            guard !names.contains(network) else {
                diagnostics.report(
                    element.location,
                    "\(subject)network '\(network)' is in 'networks' twice, once by its VLAN")
                continue
            }
            names.append(network)
            if let index = networkIndex[network], networks[index].vni == nil,
                !isGiven("networks.\(network).vni")
            {
                diagnostics.report(
                    element.location,
                    "\(subject)network '\(network)' has no VNI, so it does not leave a host: "
                        + "give it one with 'vni:'\(place(of: "networks.\(network)"))")
            }
        }
        var overlay: OverlaySpec?
        if let section = section.section("overlay") { overlay = encapsulation(section) }
        guard let underlay = section.host("underlay") else { return }
        if let other = hostByUnderlay.updateValue(name, forKey: underlay) {
            diagnostics.report(
                locations["\(path).underlay"],
                "\(subject)\(underlay) is the underlay of host '\(other)' already"
                    + "\(place(of: "hosts.\(other)")): give each host an address of its own")
        }
        hosts.append(
            HostSpec(
                name: name, underlay: underlay, vlans: vlans, overlay: overlay, networks: names))
    }

    /// The port's host; nil where the topology has none, and after a problem.
    mutating func host(of section: Section) -> String? {
        guard areHostsKnown else { return nil }
        let (location, subject) = (locations["\(section.path).host"], section.subject)
        guard let name = section.text("host") else {
            if !hostVLANs.isEmpty, !section.given.contains("host") {
                diagnostics.report(
                    section.location,
                    "\(subject)'host' is missing: the topology has hosts, and a port is on one "
                        + "of them")
            }
            return nil
        }
        guard hostVLANs[name] == nil else { return name }
        let names = hostVLANs.keys.sorted()
        var hint = diagnostics.suggestion(for: name, among: names)
        if names.isEmpty {
            hint = ": declare it in 'hosts:', or leave 'host' out"
        } else if hint.isEmpty, names.count <= 8 {
            hint = "; declared are \(keyList(names, joinedBy: "and"))"
        }
        diagnostics.report(location, "\(subject)host '\(name)' is not declared\(hint)")
        return nil
    }
}
