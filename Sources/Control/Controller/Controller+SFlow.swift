import ControlAPI
import Dataplane
import Topology

/// What an sFlow collector is told.
extension Controller {
    /// Starts, ends or changes the telling as the model wants it. Ports notice nothing: another tap is
    /// another snapshot. Call it with `changes` held.
    func reconcileSFlow() {
        let wanted = model.withLock { $0.bridge.sflow }
        let running = sflow.withLock { $0 }
        guard running?.spec != wanted else { return }
        running?.stop()
        var next: SFlowExporter?
        if let wanted {
            do {
                next = try SFlowExporter(
                    wanted, tap: SFlowExporter.tap(for: wanted, of: self), source: sflowSource,
                    log: log)
            } catch {
                // The switch forwards without it.
                log.error("sflow: \(error); no samples are sent until it is applied again")
            }
        }
        sflow.withLock { $0 = next }
        publishAndWait()
    }

    private var sflowSource: SFlowExporter.Source {
        SFlowExporter.Source(
            ports: { [weak self] in
                self?.model.withLock { $0.countedNames.map(\.number).sorted() } ?? []
            },
            counters: { [weak self] number in self?.sflowCounters(of: number) },
            received: { [weak self] number in self?.value(.received, port: number) ?? 0 },
            uptimeMilliseconds: { [weak self] in
                UInt32(truncatingIfNeeded: Int64((self?.uptime ?? 0) * 1000))
            })
    }

    /// Nil for a number that is no port's any more.
    private func sflowCounters(of number: UInt16) -> SFlowDatagram.CounterSample? {
        let model = self.model.withLock { $0 }
        var isEnabled = true
        var isUp = true
        let name: String
        var isTunnel = true
        if let port = model.port(numbered: number) {
            (name, isEnabled, isTunnel) = (port.spec.name, port.spec.up, false)
            isUp = state(of: port).0 == .up
        } else if let tunnel = model.tunnels.first(where: { $0.number == number }) {
            (name, isUp) = (tunnel.spec.name, tunnel.reason == nil)
        } else if let underlay = model.underlays.first(where: { $0.number == number }) {
            name = underlay.spec.name
        } else {
            return nil
        }
        let counters = counters(port: number)
        return SFlowDatagram.CounterSample(
            sequence: 0, port: SFlowExporter.index(of: number), name: name, isTunnel: isTunnel,
            isEnabled: isEnabled, isUp: isUp, receivedBytes: counters.receivedBytes,
            receivedFrames: counters.receivedFrames, receivedDrops: counters.ingressDroppedFrames,
            transmittedBytes: counters.transmittedBytes,
            transmittedFrames: counters.transmittedFrames,
            transmittedDrops: counters.egressDroppedFrames)
    }
}
