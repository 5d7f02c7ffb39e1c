import Dataplane
import Ports
import Topology
import Wire

/// One apply: carries out a plan's actions in order, each with its undo, and verifies the result.
///
/// Theory of operation
///
/// The model is a value, so the way back for everything in the dataplane is the old value. What
/// touches the kernel registers an undo. What would *destroy* (a detached port's device, a namespace)
/// is put off until all else has succeeded, because it has no undo: a failing apply so loses
/// nothing. The exception is a device whose name a new port needs: it goes at once, and its undo
/// makes it again.
///
/// Every device about to be made is recorded in the state before the first one is, so that a crash
/// at any point leaves nothing unrecorded.
///
/// Runs with the controller's `changes` lock held.
struct Transaction {
    /// What went wrong, and what became of the rest.
    struct Failure: Error {
        let lines: [String]
    }

    let controller: Controller
    let before: SwitchModel
    private let stateBefore: InstanceState
    var model: SwitchModel
    var state: InstanceState
    /// What was on record before this apply began: of an earlier run, after a crash.
    private var recordedBefore: [InstanceState.DeviceRecord] { stateBefore.devices }
    /// All networks and ports of this switch as they are to be; MTUs come from here.
    private let target: Topology
    private var undos: [(what: String, undo: (inout SwitchModel) throws -> Void)] = []
    /// Detached ports whose devices go at the end.
    var retiring: [LivePort] = []
    private var retiringNamespaces: [String] = []
    private var touched: [String] = []
    var flushes: [FDB.FlushPattern] = []

    init(
        _ controller: Controller, model: SwitchModel, state: InstanceState, target: Topology
    ) {
        self.controller = controller
        before = model
        self.model = model
        self.state = state
        stateBefore = state
        self.target = target
    }

    /// Carries the plan out; on failure undoes what was done and throws both.
    mutating func carryOut(_ plan: Plan) throws(Failure) {
        recordIntentions(plan)
        for action in plan.actions {
            do {
                try perform(action)
            } catch {
                throw rollback(after: "\(action)", error: "\(error)")
            }
        }
        try finish()
    }

    // MARK: Actions

    private mutating func perform(_ action: Action) throws {
        switch action {
        case .updateSwitch(_, let to): model.bridge = to
        case .createNamespace(let name): try createNamespace(name)
        case .removeNamespace(let name): retiringNamespaces.append(name)
        case .addNetwork(let network):
            model.networks.append(network)
            model.domains[network.name] = freeDomain()
        case .updateNetwork(let from, let to, let ports):
            try update(from, to: to, ports: ports)
        case .removeNetwork(let network):
            if let domain = model.domains.removeValue(forKey: network.name) {
                flushes.append(FDB.FlushPattern(domain: domain, includesStatic: true))
            }
            model.networks.removeAll { $0.name == network.name }
            model.staticEntries.removeAll { $0.network == network.name }
        case .attachPort(let spec): try attach(spec, origin: .declared)
        case .repairPort(let spec): try repair(spec)
        case .detachPort(let spec): detach(spec.name)
        case .updatePort(let from, let to): try update(from, to: to)
        case .updateTunnelSettings(_, let to): model.tunnelSettings = to
        case .addTunnel(let spec): try addTunnel(spec)
        case .changeTunnel(_, let to): try changeTunnel(to)
        case .removeTunnel(let name): removeTunnel(name)
        }
    }

    private mutating func createNamespace(_ name: String) throws {
        let directory = controller.options.namespaceDirectory
        let namespace = try NetworkNamespace.create(named: name, in: directory)
        undos.append(
            (
                "namespace '\(name)'",
                { _ in
                    try NetworkNamespace.remove(
                        named: name, in: directory, expecting: namespace.identity)
                }
            ))
        state.namespaces.append(
            InstanceState.NamespaceRecord(name: name, identity: namespace.identity))
        model.namespaces[name] = LiveNamespace(namespace: namespace, isOurs: true)
        recordIdentity(of: namespace, named: name)
    }

    /// What `port attach` does: no plan made the namespace or recorded the device before.
    mutating func attachByHand(_ spec: PortSpec) throws {
        record(spec)
        controller.save(state)
        if let name = spec.namespace, model.namespaces[name] == nil { try createNamespace(name) }
        try attach(spec, origin: .attached)
    }

    /// What `port detach` does; a namespace made for this port alone goes with it.
    mutating func detachByHand(_ name: String) {
        let namespace = model.port(named: name)?.spec.namespace
        detach(name)
        guard let namespace, model.namespaces[namespace]?.isOurs == true,
            !model.ports.contains(where: { $0.spec.namespace == namespace })
        else { return }
        retiringNamespaces.append(namespace)
    }

    private mutating func attach(_ spec: PortSpec, origin: ObservedPort.Origin) throws {
        // A name that a file or a person gives goes before one that a device brings along.
        if model.port(named: spec.name)?.origin == .discovered { detach(spec.name) }
        try freeResources(of: spec)
        let port = try open(spec, number: number(for: spec.name), origin: origin)
        model.ports.append(port)
        touched.append(spec.name)
        registerUndo(of: port)
    }

    /// The way back from a port that was opened: a device that was made goes, an adopted one stays
    /// for the next attempt.
    mutating func registerUndo(of port: LivePort) {
        if case .adopted = port.device?.ownership { return }
        guard port.device != nil || port.peer != nil else { return }
        let provisioning = controller.provisioning
        undos.append(("port '\(port.spec.name)'", { _ in try provisioning.remove(port) }))
    }

    private mutating func repair(_ spec: PortSpec) throws {
        guard let place = model.ports.firstIndex(where: { $0.spec.name == spec.name }) else {
            return try attach(spec, origin: .declared)
        }
        let old = model.ports[place]
        let port = try open(spec, number: old.number, origin: old.origin)
        model.ports[place] = port
        touched.append(spec.name)
        registerUndo(of: port)
    }

    private func open(
        _ spec: PortSpec, number: UInt16, origin: ObservedPort.Origin
    ) throws -> LivePort {
        let namespace = try spec.namespace.map { name in
            guard let live = model.namespaces[name] else {
                throw SystemError(
                    "use the network namespace '\(name)'", .noSuchFileOrDirectory,
                    remedy: "somebody removed it meanwhile: apply again")
            }
            return live.namespace
        }
        let recorded = recordedBefore.contains {
            $0.port == spec.name && $0.device == spec.deviceName
                && $0.mark == controller.provisioning.mark(of: spec.name)
                && $0.namespaceIdentity == namespace?.identity
        }
        // Left over from a crash under another declaration: it still bears this port's mark.
        for record in recordedBefore
        where record.port == spec.name && !before.ports.contains(where: { record.isOf($0) })
            && (record.device != spec.deviceName || record.namespace != spec.namespace)
        {
            try controller.removeLeftover(record)
        }
        return try controller.makePort(
            spec, number: number, origin: origin, mtu: target.deviceMTU(of: spec),
            namespace: namespace, recorded: recorded)
    }

    /// Takes a port out of the switch; its device goes at the end.
    mutating func detach(_ name: String) {
        guard let place = model.ports.firstIndex(where: { $0.spec.name == name }) else { return }
        let port = model.ports.remove(at: place)
        retiring.append(port)
        flushes.append(FDB.FlushPattern(port: port.number, includesStatic: true))
        model.staticEntries.removeAll { $0.port == name }
    }

    private mutating func update(_ from: PortSpec, to: PortSpec) throws {
        guard let place = model.ports.firstIndex(where: { $0.spec.name == to.name }) else { return }
        let port = model.ports[place]
        try reconfigure(port, from: from, to: to)
        model.ports[place].spec = to
        touched.append(to.name)
        if from.membership != to.membership {
            flushes.append(FDB.FlushPattern(port: port.number))
        }
    }

    private mutating func update(_ from: NetworkSpec, to: NetworkSpec, ports: [String]) throws {
        guard let place = model.networks.firstIndex(where: { $0.name == to.name }) else { return }
        model.networks[place] = to
        guard from.mtu != to.mtu else { return }
        for name in ports {
            guard let port = model.port(named: name) else { continue }
            try reconfigure(port, from: port.spec, to: port.spec)
            touched.append(name)
        }
    }

    private mutating func reconfigure(_ port: LivePort, from: PortSpec, to: PortSpec) throws {
        let provisioning = controller.provisioning
        let oldMTU = before.topology(includesAttached: true).deviceMTU(of: from)
        undos.append(
            (
                "port '\(to.name)'",
                { _ in try provisioning.reconfigure(port, from: to, to: from, mtu: oldMTU) }
            ))
        try provisioning.reconfigure(port, from: from, to: to, mtu: target.deviceMTU(of: to))
    }

    /// Takes a retiring port's device or socket away at once when `spec` is to have it, or the mark
    /// that goes with the port's name.
    private mutating func freeResources(of spec: PortSpec) throws {
        let wanted = spec.exclusiveResources
        guard
            let place = retiring.firstIndex(where: {
                $0.device != nil && $0.spec.name == spec.name
                    || !$0.spec.exclusiveResources.isDisjoint(with: wanted)
            })
        else { return }
        let old = retiring.remove(at: place)
        publish()
        try controller.provisioning.remove(old)
        let controller = controller
        let mtu = before.topology(includesAttached: true).deviceMTU(of: old.spec)
        undos.append(
            (
                "port '\(old.spec.name)'",
                { restored in
                    let again = try controller.makePort(
                        old.spec, number: old.number, origin: old.origin, mtu: mtu,
                        namespace: old.device?.namespace, recorded: true)
                    guard let place = restored.ports.firstIndex(where: { $0.number == old.number })
                    else { return }
                    restored.ports[place] = again
                }
            ))
    }

    // MARK: The end

    private mutating func publish() {
        controller.model.withLock { $0 = model }
        controller.publishAndWait()
    }

    /// Publishes, verifies and commits what was changed.
    mutating func finish() throws(Failure) {
        let used = Set(model.tunnels.map(\.spec.underlay))
        model.underlays.removeAll { !used.contains($0.spec) }
        publish()
        do {
            try verify()
        } catch {
            throw rollback(after: "verification", error: "\(error)")
        }
        commit()
    }

    /// Looks whether every device that was touched is there, up and as declared.
    private func verify() throws {
        for name in Set(touched) {
            guard let port = model.port(named: name), let device = port.device else { continue }
            let addresses = port.spec.attachment.madeDevice?.addresses ?? []
            try controller.verify(
                device, mtu: device.isOurs ? target.deviceMTU(of: port.spec) : nil,
                addresses: addresses)
        }
    }

    /// Undoes everything, last first, and says what could not be undone.
    mutating func rollback(after action: String, error: String) -> Failure {
        var restored = before
        var failures: [String] = []
        controller.model.withLock { $0 = before }
        controller.publishAndWait()
        for (what, undo) in undos.reversed() {
            do {
                try undo(&restored)
            } catch {
                failures.append("could not undo \(what): \(error)")
            }
        }
        controller.model.withLock { $0 = restored }
        controller.publishAndWait()
        // What is left behind stays on record as ours. What is gone must not: the next namespace of
        // that name may get the inode of the one that was made here.
        if failures.isEmpty { state = stateBefore }
        controller.save(state)
        var lines = ["\(action): \(error)"]
        lines.append(
            failures.isEmpty
                ? "everything done before it was undone; the switch is as it was" : "")
        lines += failures
        controller.noteRollback(lines.filter { !$0.isEmpty })
        return Failure(lines: lines.filter { !$0.isEmpty })
    }

    private mutating func commit() {
        FDBUpdate(before: before, after: model, flushes: flushes).carryOut(on: controller)
        let staying = controller.removeDevices(of: retiring)
        for name in retiringNamespaces {
            if let live = model.namespaces.removeValue(forKey: name), live.isOurs {
                controller.removeNamespace(name, expecting: live.namespace.identity, &state)
            }
        }
        let names = Set(model.countedNames.map(\.name))
        // Gone with this apply, or there before Heddle came. What is left over from an earlier run
        // stays on record until it is removed.
        let gone = retiring.filter { port in !staying.contains { $0.number == port.number } }
        for port in gone + model.ports.filter({ $0.device?.isOurs == false }) {
            state.devices.removeAll { record in
                record.isOf(port) && !model.ports.contains { record.isOf($0) && $0.ownsDevice }
            }
        }
        state.portNumbers = state.portNumbers.filter { names.contains($0.key) }
        for (name, number) in model.countedNames { state.portNumbers[name] = number }
        controller.model.withLock { $0 = model }
        retiring = []
        undos = []
        controller.save(state)
        controller.fabric.reclaim()
        controller.noteChange(from: before, to: model)
        controller.watcher.watch(model)
        controller.followTunnels(model)
    }
}
