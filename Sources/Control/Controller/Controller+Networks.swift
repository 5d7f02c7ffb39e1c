import ControlAPI
import Dataplane
import Topology

/// Requests about networks.
extension Controller {
    package func networks() -> NetworkList {
        let model = self.model.withLock { $0 }
        let entries = entriesByDomain()
        return NetworkList(
            networks: model.networks.sorted { $0.name < $1.name }.map {
                info($0, model, entries: entries)
            })
    }

    package func network(named name: String) throws(ServiceError) -> NetworkInfo {
        let model = self.model.withLock { $0 }
        guard let network = model.network(named: name) else { throw unknownNetwork(name, model) }
        let entries = entriesByDomain()
        return info(network, model, entries: entries)
    }

    private func entriesByDomain() -> [UInt16: [FDB.Entry]] {
        // The switch's own address is nobody's host.
        Dictionary(
            grouping: fabric.fdb.entries(now: now).filter { $0.port != PortNumber.switchItself }
        ) { $0.key.domain }
    }

    private func info(
        _ network: NetworkSpec, _ model: SwitchModel, entries: [UInt16: [FDB.Entry]]
    ) -> NetworkInfo {
        let domain = model.domains[network.name] ?? 0
        var counters = TrafficCounters(
            receivedFrames: value(.received, domain: domain),
            receivedBytes: value(.receivedBytes, domain: domain),
            receivedSegments: value(.receivedSegments, domain: domain),
            forwardedFrames: value(.forwarded, domain: domain),
            floodedFrames: value(.flooded, domain: domain),
            egressCopies: value(.copies, domain: domain),
            transmittedFrames: value(.transmitted, domain: domain),
            transmittedBytes: value(.transmittedBytes, domain: domain),
            transmittedSegments: value(.transmittedSegments, domain: domain))
        for reason in DropReason.allCases where reason != .none {
            let count = value(reason, domain: domain)
            if reason.isEgress {
                counters.egressDroppedFrames += count
            } else {
                counters.ingressDroppedFrames += count
            }
        }
        return NetworkInfo(
            name: network.name, vlan: Int(network.vlan?.rawValue ?? 0), mtu: network.mtu,
            ports: model.ports.filter { $0.spec.membership.networks.contains(network.name) }
                .map(\.spec.name).sorted(),
            fdbEntries: entries[domain]?.count ?? 0, counters: counters)
    }
}
