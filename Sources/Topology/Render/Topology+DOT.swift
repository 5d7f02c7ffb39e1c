extension Topology {
    /// The topology as an undirected graph in Graphviz' language: a cluster for each host with its
    /// VTEP and its ports, the networks as ellipses between them, a trunk with one edge for each of
    /// its networks, and a thick edge between VTEPs for each tunnel.
    package var dot: String {
        var lines = [
            "graph heddle {",
            "    graph [rankdir=LR, fontname=\"sans-serif\"];",
            "    node [shape=box, fontname=\"sans-serif\"];",
            "    edge [fontname=\"sans-serif\"];",
        ]
        var nodes: [String: (id: String, tag: String)] = [:]
        for (index, network) in networks.enumerated() {
            nodes[network.name] = ("n\(index)", network.vlan.map { "tag \($0)" } ?? "no tag")
            let mtu = network.mtu == NetworkSpec.defaultMTU ? nil : "mtu \(network.mtu)"
            let label = dotString([
                network.name, network.vlan.map { "vlan \($0)" },
                network.vni.map { "vni \($0)" }, mtu,
            ])
            lines.append("    n\(index) [shape=ellipse, label=\(label)];")
        }
        let places = Dictionary(grouping: ports.indices) { ports[$0].host }
        for (index, host) in hosts.enumerated() {
            lines += [
                "    subgraph cluster_h\(index) {",
                "        label=\(dotString([host.name]));",
                "        u\(index) [shape=hexagon, label=\(dotString(["\(host.underlay)"]))];",
            ]
            for port in places[host.name] ?? [] {
                lines.append("        \(ports[port].dotNode(port))")
            }
            lines.append("    }")
        }
        for (index, port) in ports.enumerated() {
            if port.host == nil { lines.append("    \(port.dotNode(index))") }
            lines += edges(of: port, index, to: nodes)
        }
        for tunnel in drawnTunnels {
            lines.append(
                "    u\(tunnel.from) -- u\(tunnel.to) "
                    + "[penwidth=3, label=\(dotString(tunnel.label))];")
        }
        return (lines + ["}"]).joined(separator: "\n") + "\n"
    }

    private func edges(
        of port: PortSpec, _ index: Int, to nodes: [String: (id: String, tag: String)]
    ) -> [String] {
        var native: String?
        if case .trunk(_, let network) = port.membership { native = network }
        return port.membership.networks.compactMap { network in
            guard let node = nodes[network] else { return nil }
            var attributes: [String] = []
            if port.isolated { attributes.append("style=dashed") }
            if case .trunk = port.membership {
                attributes.append("label=\(dotString([network == native ? "native" : node.tag]))")
            }
            let list = attributes.isEmpty ? "" : " [\(attributes.joined(separator: ", "))]"
            return "    p\(index) -- \(node.id)\(list);"
        }
    }
}

extension PortSpec {
    fileprivate func dotNode(_ index: Int) -> String {
        let addresses = attachment.madeDevice?.addresses.map { "\($0)" } ?? []
        let style = up ? "" : "style=dotted, "
        let label = dotString(
            [name, attachment.label] + addresses
                + [isolated ? "isolated" : nil, up ? nil : "down"])
        return "p\(index) [\(style)label=\(label)];"
    }
}

/// A double-quoted string of the DOT language whose lines are the parts, left out where nil.
///
/// In a label Graphviz reads three things twice: `\"` ends no string, `\N` and its like stand for
/// names, and `&…;` is an entity. Control characters have no picture and would break a line.
private func dotString(_ parts: [String?]) -> String {
    let lines = parts.compactMap(\.self).map { part in
        var result = ""
        for scalar in part.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "&": result += "&amp;"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
    return "\"" + lines.joined(separator: "\\n") + "\""
}
