import ControlAPI
import Dataplane
import Topology
import Trace

/// Explaining a frame by the switch as it is: the snapshot in force and the live FDB, as a reader.
/// Nothing is learned, counted or sent.
extension Controller {
    package func trace(_ request: TraceRequest) throws(ServiceError) -> TraceInfo {
        do {
            return TraceInfo(try report(request))
        } catch {
            switch error {
            case .unknownPort: throw .notFound("\(error)")
            default: throw .badRequest(["\(error)"])
            }
        }
    }

    private func report(_ request: TraceRequest) throws(TraceError) -> TraceReport {
        let frame = try ProbeFrame.bytes(hex: request.frame)
        let model = self.model.withLock { $0 }
        let snapshot = fabric.cell.load()
        // In the middle of an apply the model may be ahead of the snapshot.
        let names = model.traceNames { snapshot.exists($0) }
        let ingress = try names.ingress(named: request.port)
        let domain = try names.ingressDomain(ingress, network: request.network)
        let explanation = frame.withUnsafeBytes { bytes in
            Explanation(
                of: bytes, ingress: ingress, domain: domain, snapshot: snapshot,
                fdb: fabric.fdb, isOwner: false, now: now)
        }
        return TraceReport(explanation, frame: frame, ingress: ingress, names: names)
    }
}

extension SwitchModel {
    /// What the numbers of a snapshot mean that has those that `exists` says.
    fileprivate func traceNames(_ exists: (UInt16) -> Bool) -> SwitchNames {
        SwitchNames(
            ports: ports.filter { exists($0.number) }.map { ($0.number, $0.spec) },
            tunnels: tunnels.filter { exists($0.number) }.map { ($0.number, $0.spec) },
            networks: networks.compactMap { network in
                domains[network.name].map { ($0, network) }
            })
    }
}
