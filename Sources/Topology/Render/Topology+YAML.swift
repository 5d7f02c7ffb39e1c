import Wire

extension Topology {
    /// The topology as a file in canonical form: what `heddle topology show` prints and the state
    /// stores. Defaults are left out; decoding it gives an equal topology.
    package var yaml: String {
        var text = "heddle: \(Self.formatVersion)\n"
        let bridgeEntries = bridge.yamlEntries
        if !bridgeEntries.isEmpty { text += "switch: {\(bridgeEntries.joined(separator: ", "))}\n" }
        let overlayEntries = overlay.yamlEntries + tunnelSettings.yamlEntries
        if !hosts.isEmpty {
            text += Self.yamlBlock("hosts", hosts.map { (yamlScalar($0.name), $0.yamlEntries) })
        }
        if !overlayEntries.isEmpty {
            text += "overlay: {\(overlayEntries.joined(separator: ", "))}\n"
        }
        text += Self.yamlBlock(
            "networks", networks.map { (yamlScalar($0.name), $0.yamlEntries) })
        text += Self.yamlBlock("ports", ports.map { (yamlScalar($0.name), $0.yamlEntries) })
        return text
    }

    private static func yamlBlock(
        _ key: String, _ rows: [(name: String, entries: [String])]
    ) -> String {
        guard !rows.isEmpty else { return "\(key): {}\n" }
        return "\(key):\n"
            + rows.map { "  \($0.name): {\($0.entries.joined(separator: ", "))}\n" }.joined()
    }
}

extension SwitchSpec {
    fileprivate var yamlEntries: [String] {
        let usual = SwitchSpec()
        var entries: [String] = []
        if ageingSeconds != usual.ageingSeconds { entries.append("ageing: \(ageingSeconds)s") }
        if fdbLimit != usual.fdbLimit { entries.append("fdb-limit: \(fdbLimit)") }
        if portFDBLimit != min(usual.portFDBLimit, fdbLimit) {
            entries.append("port-fdb-limit: \(portFDBLimit)")
        }
        if let loopHoldSeconds { entries.append("loop-hold: \(loopHoldSeconds)s") }
        if let loopProbeSeconds { entries.append("loop-probe: \(loopProbeSeconds)s") }
        if !recorder { entries.append("recorder: false") }
        if let sflow {
            entries.append("sflow: {\(sflow.yamlEntries.joined(separator: ", "))}")
        }
        return entries
    }
}

extension SFlowSpec {
    fileprivate var yamlEntries: [String] {
        let usual = SFlowSpec(collector: collector)
        var entries = ["collector: \(yamlScalar("\(collector)"))"]
        if sampling != usual.sampling { entries.append("sampling: \(sampling)") }
        if pollingSeconds != usual.pollingSeconds { entries.append("polling: \(pollingSeconds)s") }
        if headerByteCount != usual.headerByteCount { entries.append("header: \(headerByteCount)") }
        if let agent { entries.append("agent: \(yamlScalar("\(agent)"))") }
        return entries
    }
}

extension OverlaySpec {
    /// Without what a file may leave out at its top.
    fileprivate var yamlEntries: [String] { self == OverlaySpec() ? [] : fullYAMLEntries }

    fileprivate var fullYAMLEntries: [String] {
        var entries = ["kind: \(kind.rawValue)"]
        if let port, port != kind.defaultPort { entries.append("port: \(port)") }
        return entries
    }
}

extension TunnelSettings {
    fileprivate var yamlEntries: [String] {
        let usual = TunnelSettings()
        var entries: [String] = []
        if probes { entries.append("probe: true") }
        if probeMilliseconds != usual.probeMilliseconds {
            entries.append("probe-interval: \(probeMilliseconds)")
        }
        if clampsMSS { entries.append("mss-clamp: true") }
        return entries
    }
}

extension HostSpec {
    fileprivate var yamlEntries: [String] {
        var entries = ["underlay: \(yamlScalar("\(underlay)"))"]
        if let overlay {
            entries.append("overlay: {\(overlay.fullYAMLEntries.joined(separator: ", "))}")
        }
        if !vlans.isEmpty {
            let pairs = vlans.sorted { $0.key < $1.key }
                .map { "\(yamlScalar($0.key)): \($0.value)" }
            entries.append("vlans: {\(pairs.joined(separator: ", "))}")
        }
        if !networks.isEmpty { entries.append("networks: \(yamlList(networks))") }
        return entries
    }
}

extension NetworkSpec {
    fileprivate var yamlEntries: [String] {
        var entries: [String] = []
        if let vlan { entries.append("vlan: \(vlan)") }
        if mtu != Self.defaultMTU { entries.append("mtu: \(mtu)") }
        if let vni { entries.append("vni: \(vni)") }
        if let overlay {
            entries.append("overlay: {\(overlay.fullYAMLEntries.joined(separator: ", "))}")
        }
        return entries
    }
}

extension PortSpec {
    fileprivate var yamlEntries: [String] {
        var entries: [String] = []
        if let host { entries.append("host: \(yamlScalar(host))") }
        switch membership {
        case .access(let network): entries.append("network: \(yamlScalar(network))")
        case .trunk(let networks, let native):
            entries.append("trunk: \(yamlList(networks))")
            if let native { entries.append("native: \(yamlScalar(native))") }
        }
        if isolated { entries.append("isolated: true") }
        if let fdbLimit { entries.append("fdb-limit: \(fdbLimit)") }
        if !staticMACs.isEmpty { entries.append("static: \(yamlList(staticMACs))") }
        if sticky { entries.append("sticky: true") }
        if !up { entries.append("up: false") }
        entries.append(attachment.yamlEntry)
        if let description { entries.append("description: \(yamlScalar(description))") }
        return entries
    }
}

func yamlList<Element>(_ elements: [Element]) -> String {
    "[\(elements.map { yamlScalar("\($0)") }.joined(separator: ", "))]"
}

/// Plain where every YAML reader takes it for text, else in double quotes.
func yamlScalar(_ text: String) -> String {
    let isSafe = text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: "."), UInt8(ascii: "/"):
            true
        default: false
        }
    }
    let beginsWithLetter = text.utf8.first.map { $0 | 0x20 }.map { 0x61...0x7A ~= $0 } ?? false
    // 10.10.0.1/24 is text to every reader: two points and a slash are no number.
    let isIPv4 = InterfaceAddress(text) != nil || IPv4Address(text) != nil
    let isSpecial = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .contains(text.lowercased())
    if isSafe, !isSpecial, beginsWithLetter || isIPv4 { return text }
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\":
            result += "\\"
            result.unicodeScalars.append(scalar)
        case _ where scalar.value > 0x7E || scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
