import Dataplane
import Topology

/// Tunnels in a transaction. Their sockets are held by the model alone, so that the old model is the
/// whole way back; nothing here makes anything in the kernel that outlives it.
extension Transaction {
    mutating func addTunnel(_ spec: TunnelSpec) throws {
        guard model.tunnels.count < Controller.tunnelLimit else {
            throw SystemError(
                "add tunnel '\(spec.name)'", .noMemory,
                remedy: "one switch has \(Controller.tunnelLimit) tunnels at most: use fewer "
                    + "encapsulations or hosts")
        }
        try openUnderlay(spec.underlay)
        model.tunnels.append(
            LiveTunnel(
                spec: spec, number: number(for: spec.name), path: try controller.path(of: spec)))
    }

    mutating func changeTunnel(_ spec: TunnelSpec) throws {
        guard let place = model.tunnels.firstIndex(where: { $0.spec.name == spec.name }) else {
            return
        }
        let old = model.tunnels[place]
        try openUnderlay(spec.underlay)
        model.tunnels[place].spec = spec
        if old.spec.local != spec.local || old.spec.remote != spec.remote {
            model.tunnels[place].path = try controller.path(of: spec)
            model.tunnels[place].probe = nil
            flushes.append(FDB.FlushPattern(port: old.number))
        }
        let networks = Set(spec.networks)
        for name in old.spec.networks where !networks.contains(name) {
            guard let domain = before.domains[name] else { continue }
            flushes.append(FDB.FlushPattern(port: old.number, domain: domain, includesStatic: true))
        }
        model.staticEntries.removeAll { $0.port == spec.name && !networks.contains($0.network) }
    }

    mutating func removeTunnel(_ name: String) {
        guard let place = model.tunnels.firstIndex(where: { $0.spec.name == name }) else { return }
        let tunnel = model.tunnels.remove(at: place)
        flushes.append(FDB.FlushPattern(port: tunnel.number, includesStatic: true))
        model.staticEntries.removeAll { $0.port == name }
    }

    /// The sockets that a tunnel needs; closed again with the model that holds them.
    private mutating func openUnderlay(_ spec: UnderlaySpec) throws {
        guard !model.underlays.contains(where: { $0.spec == spec }) else { return }
        // Of that name with another address: a number is one underlay's at a time.
        model.underlays.removeAll { $0.spec.name == spec.name }
        model.underlays.append(try LiveUnderlay.open(spec, number: number(for: spec.name)))
    }
}
