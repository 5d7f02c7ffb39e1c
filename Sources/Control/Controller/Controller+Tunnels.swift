import ControlAPI
import Dataplane
import Netlink
import Ports
import Topology

/// Tunnels: what is asked about them, and what becomes of the ways that they take.
extension Controller {
    package func tunnels() -> TunnelList {
        TunnelList(tunnels: model.withLock(\.tunnels).map(info))
    }

    package func tunnel(named name: String) throws(ServiceError) -> TunnelInfo {
        let model = self.model.withLock { $0 }
        guard let tunnel = model.tunnel(named: name) else {
            throw .notFound(
                "there is no tunnel '\(name)'; there are: "
                    + listed(model.tunnels.map(\.spec.name)))
        }
        return info(tunnel)
    }

    private func info(_ tunnel: LiveTunnel) -> TunnelInfo {
        let spec = tunnel.spec
        let heard = fabric.lastHeard(tunnel.number)
        let elapsed = WorkerThread.monotonicNanoseconds() &- heard
        return TunnelInfo(
            name: spec.name, number: Int(tunnel.number), host: spec.host,
            kind: spec.kind.rawValue, port: spec.port.map { Int($0) }, local: "\(spec.local)",
            remote: "\(spec.remote)", networks: spec.networks,
            state: tunnel.reason == nil ? .up : .down, reason: tunnel.reason,
            device: tunnel.path.device, gateway: tunnel.path.gateway.map { "\($0)" },
            neighbour: tunnel.path.neighbour, underlayMTU: tunnel.path.mtu,
            maximumPacket: tunnel.maximumPacketByteCount, probe: TunnelProbe(tunnel.probe),
            lastHeardSeconds: heard == 0 ? nil : Double(elapsed) / 1e9,
            counters: counters(port: tunnel.number))
    }

    // MARK: The ways

    /// How a tunnel's other end is reached now.
    func path(of tunnel: TunnelSpec) throws -> PathState {
        let states = try PathEvaluator(socket: NetlinkSocket()).evaluate([UnderlayPath(tunnel)])
        return states.first ?? .down(tunnel.name, "nothing is known of the way")
    }

    /// The MTUs of the ways that are known, by tunnel.
    func underlayMTUs(of tunnels: [TunnelSpec]) -> [String: Int] {
        guard !tunnels.isEmpty,
            let states = try? PathEvaluator(socket: NetlinkSocket())
                .evaluate(tunnels.map(UnderlayPath.init))
        else { return [:] }
        return states.reduce(into: [:]) { $0[$1.name] = $1.mtu }
    }

    /// Has the ways of a model's tunnels followed, and their ends probed where that is wanted.
    func followTunnels(_ model: SwitchModel) {
        let sockets = model.underlays.map(\.sockets)
        paths.watch(
            model.tunnels.map { UnderlayPath($0.spec) },
            refusals: { sockets.reduce(0) { $0 &+ $1.pathMTUErrors } })
        probes.follow(model, of: self)
    }

    /// Takes up what has changed about the ways. On the monitor's thread; it waits for an apply that
    /// is under way, as ``handle(_:in:)`` does.
    func follow(_ states: [PathState]) {
        update { model in
            for name in states.map(\.name) {
                // As it is now: an apply that we waited for may have given the tunnel another way.
                guard let place = model.tunnels.firstIndex(where: { $0.spec.name == name }),
                    let state = paths.state(of: name)
                else { continue }
                model.tunnels[place].path = state
            }
        }
    }

    /// Takes up what probes tell of each tunnel.
    func followProbes() {
        update { model in
            for place in model.tunnels.indices {
                model.tunnels[place].probe = probes.state(of: model.tunnels[place].spec.name)
            }
        }
    }

    /// Changes what is known of tunnels; the workers hear of it if it means anything to them.
    private func update(_ change: (inout SwitchModel) -> Void) {
        changes.withLock { _ in
            let (before, after) = model.withLock { model in
                let before = model.tunnels
                change(&model)
                return (before, model.tunnels)
            }
            var matters = false
            for (old, new) in zip(before, after) {
                if old.maximumPacketByteCount != new.maximumPacketByteCount { matters = true }
                guard old.reason != new.reason else { continue }
                matters = true
                if let reason = new.reason {
                    log.warning("tunnel '\(new.spec.name)' is down: \(reason)")
                } else {
                    log.notice("tunnel '\(new.spec.name)' is up")
                }
                noteState(of: new)
            }
            if matters { publishAndWait() }
        }
    }
}

extension UnderlayPath {
    init(_ tunnel: TunnelSpec) {
        self.init(name: tunnel.name, local: tunnel.local, remote: tunnel.remote)
    }
}

extension TunnelProbe {
    init(_ state: ProbeState?) {
        switch state {
        case nil: self = .off
        case .unprobed: self = .unprobed
        case .up: self = .up
        case .down: self = .down
        }
    }
}
