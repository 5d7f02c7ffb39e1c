extension Topology {
    /// The topology as a Mermaid flow chart: networks in the middle, ports around them, a trunk
    /// with one edge for each of its networks. Hosts are boxes around their ports, with a thick
    /// edge for each tunnel.
    package var mermaid: String {
        var lines = ["graph LR"]
        var nodes: [String: (id: String, tag: String)] = [:]
        for (index, network) in networks.enumerated() {
            nodes[network.name] = (
                "n\(index)", network.vlan.map { "tag \($0)" } ?? "no tag"
            )
            let mtu = network.mtu == NetworkSpec.defaultMTU ? nil : "mtu \(network.mtu)"
            let label = mermaidLabel([
                network.name, network.vlan.map { "vlan \($0)" },
                network.vni.map { "vni \($0)" }, mtu,
            ])
            lines.append("    n\(index)([\"\(label)\"])")
        }
        let places = Dictionary(grouping: ports.indices) { ports[$0].host }
        for (index, host) in hosts.enumerated() {
            lines.append(
                "    subgraph h\(index)[\"\(mermaidLabel([host.name, "\(host.underlay)"]))\"]")
            for port in places[host.name] ?? [] {
                lines.append("        \(ports[port].node(port))")
            }
            lines.append("    end")
        }
        for (index, port) in ports.enumerated() {
            if port.host == nil { lines.append("    \(port.node(index))") }
            let line = port.isolated ? "-.-" : "---"
            switch port.membership {
            case .access(let network):
                guard let node = nodes[network] else { continue }
                lines.append("    p\(index) \(line) \(node.id)")
            case .trunk(let networks, let native):
                for network in networks {
                    guard let node = nodes[network] else { continue }
                    let text = network == native ? "native" : node.tag
                    lines.append("    p\(index) \(line)|\(text)| \(node.id)")
                }
            }
        }
        return (lines + tunnelLines).joined(separator: "\n") + "\n"
    }

    private var tunnelLines: [String] {
        drawnTunnels.map { tunnel in
            "    h\(tunnel.from) ===|\"\(mermaidLabel(tunnel.label))\"| h\(tunnel.to)"
        }
    }
}

extension PortSpec {
    fileprivate func node(_ index: Int) -> String {
        "p\(index)[\"\(mermaidLabel([name, attachment.label, isolated ? "isolated" : nil]))\"]"
    }
}

/// Parts one below the other. Mermaid reads entities by number, and inside a quoted label nothing
/// else is safe.
private func mermaidLabel(_ parts: [String?]) -> String {
    parts.compactMap(\.self).map { part in
        var result = ""
        for scalar in part.unicodeScalars {
            switch scalar {
            case "\"", "<", ">", "#", "&", "`", "\\", ";", "%", "[", "]", "{", "}", "|":
                result += "#\(scalar.value);"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }.joined(separator: "<br/>")
}
