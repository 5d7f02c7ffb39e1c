/// Something about a valid topology that its author may not have meant.
package struct TopologyNote: Sendable, Equatable {
    /// Nil where the place is not known: a topology that was not decoded.
    package var location: SourceLocation?
    package var message: String

    /// `lab.yaml:4:3: note: network 'blue' …`
    package func line(file: String) -> String {
        location.map { "\(file):\($0): note: \(message)" } ?? "\(file): note: \(message)"
    }
}

extension Topology {
    /// Notes in the order of the file.
    package var notes: [TopologyNote] {
        var notes: [TopologyNote] = []
        if hosts.isEmpty {
            if overlay != OverlaySpec() || tunnelSettings != TunnelSettings() {
                notes.append(
                    TopologyNote(
                        location: locations["overlay"],
                        message: "'overlay' has no effect: the topology has no 'hosts'"))
            }
        } else {
            let participation = Participation(self)
            for (index, network) in networks.enumerated() where network.vni == nil {
                let hosts = participation.hosts(in: index).map { "'\(self.hosts[$0].name)'" }
                guard hosts.count > 1 else { continue }
                let more = hosts.count > 2 ? " and \(hosts.count - 2) more" : ""
                notes.append(
                    TopologyNote(
                        location: locations["networks.\(network.name)"],
                        message: "network '\(network.name)' has ports on hosts "
                            + "\(hosts[0])\(more.isEmpty ? " and " : ", ")\(hosts[1])\(more) but "
                            + "no 'vni', so they do not reach each other"))
            }
        }
        return notes.sorted {
            ($0.location ?? .init(line: 0, column: 0)) < ($1.location ?? .init(line: 0, column: 0))
        }
    }
}
