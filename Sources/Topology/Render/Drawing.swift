/// What every drawing of a topology says, whichever language it is written in.
extension Topology {
    /// A line between two hosts.
    struct DrawnTunnel {
        /// Places of the hosts in `hosts`; `from` comes first.
        let from: Int
        let to: Int
        /// The encapsulation and what travels in it, to be shown one below the other.
        let label: [String]
    }

    /// Each tunnel once, seen from the host that comes first.
    var drawnTunnels: [DrawnTunnel] {
        let participation = Participation(self)
        var drawn: [DrawnTunnel] = []
        for place in hosts.indices {
            for remote in hosts.indices[(place + 1)...] {
                for tunnel in tunnels(from: place, to: remote, participation) {
                    let names = tunnel.networks.prefix(4).joined(separator: " ")
                    let more = tunnel.networks.count > 4 ? " …" : ""
                    drawn.append(
                        DrawnTunnel(
                            from: place, to: remote,
                            label: [tunnel.encapsulation.name, names + more]))
                }
            }
        }
        return drawn
    }
}

extension Attachment {
    /// What is plugged in, in a few words.
    var label: String {
        switch self {
        case .tap(let tap): tap.namespace.map { "tap in \($0)" } ?? "tap"
        case .veth(let veth): veth.namespace.map { "veth in \($0)" } ?? "veth"
        case .device(.name(let name)): "device \(name)"
        case .device(.match(let match)): "devices: \(match)"
        case .vhostUser(let card): "vhost-user at \(card.socket)"
        case .socket(let socket): "\(socket.protocol.rawValue) at \(socket.path)"
        case .pcap(let pcap):
            ["pcap", pcap.read.map { "reads \($0)" }, pcap.write.map { "writes \($0)" }]
                .compactMap(\.self).joined(separator: " ")
        }
    }
}
