import Dataplane
import Netlink
import Topology

/// The numbers of ports and networks, and what is written down before it is done.
extension Transaction {
    /// The number that the name had before, or the lowest that nobody has.
    mutating func number(for name: String) -> UInt16 {
        var taken = Set(model.countedNames.map(\.number))
        taken.formUnion(retiring.filter { $0.spec.name != name }.map(\.number))
        if let known = state.portNumbers[name], !taken.contains(known) { return known }
        taken.formUnion(state.portNumbers.values)
        // There are enough numbers for all that may be; recorded ones that are no longer used give
        // way.
        let limit = UInt16(Controller.numberLimit)
        let number =
            (0..<limit).first { !taken.contains($0) }
            ?? (0..<limit).first { number in
                !model.countedNames.contains { $0.number == number }
            } ?? 0
        state.portNumbers[name] = number
        controller.beginCounting(port: number)
        return number
    }

    func freeDomain() -> UInt16 {
        let taken = Set(model.domains.values).union(before.domains.values)
        let domain =
            (1...UInt16(Topology.networkLimit + 1)).first { !taken.contains($0) }
            ?? UInt16(Topology.networkLimit + 1)
        controller.beginCounting(domain: domain)
        return domain
    }

    mutating func recordIntentions(_ plan: Plan) {
        for action in plan.actions {
            switch action {
            case .attachPort(let spec), .repairPort(let spec): record(spec)
            default: break
            }
        }
        controller.save(state)
    }

    /// Records that a device of this name and mark will be ours.
    mutating func record(_ spec: PortSpec) {
        guard let device = spec.deviceName else { return }
        state.devices.removeAll { $0.device == device && $0.namespace == spec.namespace }
        state.devices.append(
            InstanceState.DeviceRecord(
                port: spec.name, device: device, mark: controller.provisioning.mark(of: spec.name),
                namespace: spec.namespace,
                namespaceIdentity: spec.namespace.flatMap {
                    model.namespaces[$0]?.namespace.identity
                }))
    }

    /// A namespace made in this apply: the intentions recorded before could not know its identity.
    mutating func recordIdentity(of namespace: NetworkNamespace, named name: String) {
        for place in state.devices.indices where state.devices[place].namespace == name {
            state.devices[place].namespaceIdentity = namespace.identity
        }
        controller.save(state)
    }
}
