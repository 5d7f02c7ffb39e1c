extension Topology {
    /// The topology as a Mermaid flow chart: networks in the middle, ports around them, a trunk
    /// with one edge for each of its networks.
    package var mermaid: String {
        var lines = ["graph LR"]
        var nodes: [String: (id: String, tag: String)] = [:]
        for (index, network) in networks.enumerated() {
            nodes[network.name] = (
                "n\(index)", network.vlan.map { "tag \($0)" } ?? "no tag"
            )
            let mtu = network.mtu == NetworkSpec.defaultMTU ? nil : "mtu \(network.mtu)"
            let label = mermaidLabel([network.name, network.vlan.map { "vlan \($0)" }, mtu])
            lines.append("    n\(index)([\"\(label)\"])")
        }
        for (index, port) in ports.enumerated() {
            let label = mermaidLabel([
                port.name, port.attachment.label, port.isolated ? "isolated" : nil,
            ])
            lines.append("    p\(index)[\"\(label)\"]")
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
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Attachment {
    fileprivate var label: String {
        switch self {
        case .tap(let tap): tap.namespace.map { "tap in \($0)" } ?? "tap"
        case .pcap(let pcap):
            ["pcap", pcap.read.map { "reads \($0)" }, pcap.write.map { "writes \($0)" }]
                .compactMap(\.self).joined(separator: " ")
        }
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
