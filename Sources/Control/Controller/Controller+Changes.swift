import Netlink
import Topology

/// What changes the switch: applying a topology, attaching and detaching single ports, and devices
/// that come and go by themselves.
extension Controller {
    /// What an apply of `desired` would do.
    func plan(_ desired: Topology) throws -> Plan {
        let model = self.model.withLock { $0 }
        return try Plan.make(desired: desired, observed: observe(desired, in: model).observed)
    }

    /// Plans and carries out; on failure the switch is as it was.
    @discardableResult
    package func apply(_ desired: Topology, name: String) throws -> Plan {
        try changes.withLock { state in
            let (observed, model) = observe(desired, in: self.model.withLock { $0 })
            let plan = try Plan.make(desired: desired, observed: observed)
            var target = desired
            target.ports += model.ports.filter { $0.origin == .attached }.map(\.spec)
            var transaction = Transaction(self, model: model, state: state, target: target)
            try transaction.carryOut(plan)
            state = transaction.state
            order(by: desired, name: name)
            state.topologyName = name
            state.topology = desired.yaml
            save(state)
            return plan
        }
    }

    /// Removes what an earlier run left and no port of this one took over.
    package func removeLeftovers() {
        changes.withLock { state in
            removeLeftovers(&state)
            save(state)
        }
    }

    /// The stored topology, for a start without a file.
    package func storedTopology() throws -> (topology: Topology, name: String)? {
        try changes.withLock { state in
            guard let text = state.topology else { return nil }
            let name = state.topologyName ?? "stored topology"
            return (try Topology.decode(text, file: name), name)
        }
    }

    func attach(_ spec: PortSpec) throws {
        try changeOnePort(spec) { transaction in
            transaction.record(spec)
            self.save(transaction.state)
            try transaction.attachAlone(spec)
        }
    }

    func detach(_ spec: PortSpec) throws {
        try changeOnePort(nil) { $0.detachAlone(spec) }
    }

    private func changeOnePort(
        _ spec: PortSpec?, _ change: (inout Transaction) throws -> Void
    ) throws {
        try changes.withLock { state in
            var target = self.model.withLock { $0 }.topology(includesAttached: true)
            if let spec { target.ports.append(spec) }
            let (_, model) = observe(target, in: self.model.withLock { $0 })
            var transaction = Transaction(self, model: model, state: state, target: target)
            do {
                try change(&transaction)
            } catch {
                throw transaction.rollback(
                    after: spec.map { "port \($0.name)" } ?? "", error: "\(error)")
            }
            try transaction.finish()
            state = transaction.state
        }
    }

    /// Puts the model into the order of the topology and notes its name.
    private func order(by desired: Topology, name: String) {
        var places: [String: Int] = [:]
        for (place, port) in desired.ports.enumerated() { places[port.name] = place }
        for (place, network) in desired.networks.enumerated() { places["/" + network.name] = place }
        model.withLock { model in
            model.documentName = name
            model.ports.sort { (places[$0.spec.name] ?? .max) < (places[$1.spec.name] ?? .max) }
            model.networks.sort {
                (places["/" + $0.name] ?? .max) < (places["/" + $1.name] ?? .max)
            }
        }
    }

    /// Adds to the picture what is not of our making: namespaces that exist already.
    private func observe(
        _ desired: Topology, in model: SwitchModel
    ) -> (observed: Observed, model: SwitchModel) {
        var model = model
        for name in Set(desired.ports.compactMap(\.namespace)) where model.namespaces[name] == nil {
            if let found = try? NetworkNamespace.open(named: name, in: options.namespaceDirectory) {
                model.namespaces[name] = LiveNamespace(namespace: found, isOurs: false)
            }
        }
        return (model.observed, model)
    }

    /// Throws when the device is not there, is down, or has another MTU than it should.
    func verify(_ device: LivePort.Device, mtu: Int?) throws {
        let link = try provisioning.inside(device.namespace) {
            try NetlinkSocket().link(.index(device.index))
        }
        guard let link else {
            throw SystemError(
                "find device '\(device.name)' after making it", .noSuchFileOrDirectory,
                remedy: "something else on this host removes it")
        }
        guard link.flags.contains(.up) else {
            throw SystemError(
                "keep device '\(device.name)' up", .ioError,
                remedy: "something else on this host takes it down")
        }
        if let mtu, link.mtu != mtu {
            throw SystemError(
                "set the MTU of device '\(device.name)' to \(mtu)", .invalidArgument,
                remedy: "something else on this host sets it to \(link.mtu)")
        }
    }

    // MARK: Devices that come and go

    /// Follows a link event of a namespace (nil: the switch's own) that ports use.
    func handle(_ event: LinkWatcher.Event, in namespace: String?) {
        switch event {
        case .overrun:
            for port in model.withLock({ $0.ports }) where port.spec.namespace == namespace {
                refresh(port)
            }
        case .removed(let index):
            setCondition(.missingDevice) {
                $0.spec.namespace == namespace && $0.device?.index == index
            }
        case .changed(let link):
            let port = model.withLock { model in
                model.ports.first {
                    $0.spec.namespace == namespace
                        && ($0.device?.index == link.index
                            || $0.condition == .missingDevice && $0.device?.name == link.name)
                }
            }
            guard let port else { return }
            if port.condition == .missingDevice {
                takeBack(port)
            } else if port.device?.index == link.index {
                setCondition(
                    link.flags.contains(.up)
                        ? .up : .down(reason: "device \(link.name) is down in its namespace")
                ) { $0.number == port.number && $0.condition != .missingDevice }
            }
        }
    }

    private func refresh(_ port: LivePort) {
        guard let device = port.device else { return }
        let link = try? provisioning.inside(device.namespace) {
            try NetlinkSocket().link(.index(device.index))
        }
        let condition: ObservedPort.Condition
        if let link {
            condition =
                link.flags.contains(.up)
                ? .up : .down(reason: "device \(device.name) is down in its namespace")
        } else {
            condition = .missingDevice
        }
        setCondition(condition) { $0.number == port.number }
    }

    /// A device of the right name appeared where a port has lost its own: use it.
    private func takeBack(_ port: LivePort) {
        changes.withLock { _ in
            guard let current = model.withLock({ $0.port(named: port.spec.name) }),
                current.condition == .missingDevice, let device = current.device
            else { return }
            do {
                let mtu = model.withLock { $0.topology(includesAttached: true) }
                    .deviceMTU(of: current.spec)
                let again = try provisioning.attach(
                    current.spec, number: current.number, origin: current.origin, mtu: mtu,
                    namespace: device.namespace, recorded: false)
                model.withLock { model in
                    guard let place = model.ports.firstIndex(where: { $0.number == again.number })
                    else { return }
                    model.ports[place] = again
                }
                publishAndWait()
                log.notice("port '\(port.spec.name)': its device is back")
            } catch {
                log.warning("port '\(port.spec.name)': its device's name is back, but: \(error)")
            }
        }
    }

    private func setCondition(
        _ condition: ObservedPort.Condition, where matches: (LivePort) -> Bool
    ) {
        let changed = model.withLock { model -> [String] in
            var changed: [String] = []
            for place in model.ports.indices
            where matches(model.ports[place]) && model.ports[place].condition != condition {
                model.ports[place].condition = condition
                changed.append(model.ports[place].spec.name)
            }
            return changed
        }
        for name in changed {
            switch condition {
            case .up: log.notice("port '\(name)' is up")
            case .down(let reason): log.warning("port '\(name)' is down: \(reason)")
            case .missingDevice: log.warning("port '\(name)' is down: its device is gone")
            }
        }
    }
}
