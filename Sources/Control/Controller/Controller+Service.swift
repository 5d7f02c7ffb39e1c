import ControlAPI
import Dataplane
import Dispatch
import Foundation
import Topology

/// The control socket's requests, answered from the model and the dataplane's counters: here those
/// about the switch and its topology; ports, networks, the FDB and counters have a file each.
extension Controller: SwitchService {
    package func version() -> VersionInfo {
        VersionInfo(
            version: HeddleVersion.current, apiVersion: HeddleVersion.api, instance: instance,
            pid: Int(getpid()),
            sandbox: options.isSandbox, uptimeSeconds: uptime)
    }

    var uptime: Double {
        Double(DispatchTime.now().uptimeNanoseconds - startTime.uptimeNanoseconds) / 1e9
    }

    // MARK: Topology

    package func topology() throws(ServiceError) -> TopologyInfo {
        let model = self.model.withLock { $0 }
        let topology = model.topology()
        return TopologyInfo(
            name: model.documentName, text: topology.yaml,
            topology: (try? JSONDecoder().decode(
                JSONValue.self, from: Data(topology.json.utf8))) ?? .null)
    }

    package func planTopology(_ document: TopologyDocument) throws(ServiceError) -> PlanResult {
        do {
            return result(try plan(try decode(document)))
        } catch {
            throw serviceError(error)
        }
    }

    package func applyTopology(_ document: TopologyDocument) throws(ServiceError) -> ApplyResult {
        do {
            let desired = try decode(document)
            let began = DispatchTime.now()
            let plan = try apply(desired, name: document.name)
            let elapsed =
                Double(DispatchTime.now().uptimeNanoseconds - began.uptimeNanoseconds) / 1e6
            let summary =
                plan.isEmpty
                ? "nothing to change"
                : "applied in \(Int(elapsed.rounded())) ms: \(plan.summary)"
            return ApplyResult(
                plan: result(plan), generation: fabric.cell.generation, summary: summary)
        } catch {
            throw serviceError(error)
        }
    }

    private func decode(_ document: TopologyDocument) throws(TopologyError) -> Topology {
        try Topology.decode(document.text, file: document.name)
    }

    private func result(_ plan: Plan) -> PlanResult {
        PlanResult(
            changes: plan.actions.map { action in
                PlanChange(
                    symbol: String(action.sign), subject: action.subject, text: action.detail)
            }, notes: plan.notes.isEmpty ? nil : plan.notes, summary: "\(plan.summary)",
            isEmpty: plan.isEmpty)
    }

    // MARK: Refusals

    func serviceError(_ error: any Error) -> ServiceError {
        switch error {
        case let error as ServiceError: error
        case let error as TopologyError: .badRequest(error.lines)
        case let error as PlanError: .conflict("\(error)")
        case let error as HostPartError: .badRequest(["\(error)"])
        case let error as Transaction.Failure: .failed(error.lines)
        default: .failed(["\(error)"])
        }
    }

    func unknownPort(_ name: String, _ model: SwitchModel) -> ServiceError {
        .notFound(
            "there is no port '\(name)'; there are: "
                + listed(model.ports.map(\.spec.name)))
    }

    func unknownNetwork(_ name: String, _ model: SwitchModel) -> ServiceError {
        .notFound(
            "there is no network '\(name)'; there are: " + listed(model.networks.map(\.name)))
    }

    func listed(_ names: [String]) -> String {
        guard !names.isEmpty else { return "none" }
        let shown = names.prefix(12).joined(separator: ", ")
        return names.count > 12 ? shown + " and \(names.count - 12) more" : shown
    }
}
