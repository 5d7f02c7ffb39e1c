import Dispatch
import Netlink
import Topology
import Wire

/// What changes the switch: applying a topology, attaching and detaching single ports, and devices
/// that come and go by themselves.
extension Controller {
    /// What an apply of `desired` would do.
    func plan(_ desired: Topology) throws -> Plan {
        let part = try part(of: desired)
        let model = self.model.withLock { $0 }
        return try Plan.make(desired: part, observed: observe(part, in: model).observed)
    }

    /// This host's part of a topology.
    private func part(of topology: Topology) throws(HostPartError) -> HostPart {
        try topology.part(of: options.host)
    }

    /// Plans and carries out this host's part; on failure the switch is as it was.
    @discardableResult
    package func apply(_ desired: Topology, name: String) throws -> Plan {
        try changing { state in
            let part = try part(of: desired)
            var (observed, model) = observe(part, in: self.model.withLock { $0 })
            let plan = try Plan.make(desired: part, observed: observed)
            let began = DispatchTime.now()
            model.host = part.host
            model.document = part.host == nil ? nil : desired
            var target = part.topology
            target.ports += model.ports.filter { $0.origin == .attached }.map(\.spec)
            var transaction = Transaction(self, model: model, state: state, target: target)
            do {
                // Also after a failure: what could not be undone stays on record.
                defer { state = transaction.state }
                try transaction.carryOut(plan)
            }
            order(by: desired, name: name)
            reconcileDevices(&state)
            reconcileSFlow()
            state.topologyName = name
            state.topology = desired.yaml
            state.host = part.host?.name
            save(state)
            noteApply(plan, of: name, since: began)
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

    /// - Parameter specify: gives the port, judged against the switch as it is now.
    func attach(_ specify: (SwitchModel) throws -> PortSpec) throws {
        try changing { state in
            let spec = try specify(model.withLock { $0 })
            var target = model.withLock { $0.localTopology }
            target.ports.append(spec)
            try changeOnePort(named: spec.name, target, &state) { transaction in
                try transaction.attachByHand(spec)
            }
        }
    }

    /// - Parameter check: throws when the port is not to be detached, as the switch is now.
    func detach(_ name: String, check: (SwitchModel) throws -> Void) throws {
        try changing { state in
            try check(model.withLock { $0 })
            let target = model.withLock { $0.localTopology }
            try changeOnePort(named: name, target, &state) { $0.detachByHand(name) }
        }
    }

    private func changeOnePort(
        named name: String, _ target: Topology, _ state: inout InstanceState,
        _ change: (inout Transaction) throws -> Void
    ) throws {
        let model = observingNamespaces(of: target, in: self.model.withLock { $0 })
        var transaction = Transaction(self, model: model, state: state, target: target)
        do {
            defer { state = transaction.state }
            do {
                try change(&transaction)
            } catch {
                throw transaction.rollback(after: "port \(name)", error: "\(error)")
            }
            try transaction.finish()
        }
        reconcileDevices(&state)
    }

    /// Puts the model into the order of the topology and notes its name.
    private func order(by desired: Topology, name: String) {
        var places: [String: Int] = [:]
        for (place, port) in desired.ports.enumerated() { places[port.name] = place }
        for (place, network) in desired.networks.enumerated() { places["/" + network.name] = place }
        model.withLock { model in
            model.documentName = name
            model.locations = desired.locations
            model.ports.sort { (places[$0.spec.name] ?? .max) < (places[$1.spec.name] ?? .max) }
            model.networks.sort {
                (places["/" + $0.name] ?? .max) < (places["/" + $1.name] ?? .max)
            }
        }
    }

    /// Adds to the picture what is not of our making: namespaces that exist already.
    private func observingNamespaces(of desired: Topology, in model: SwitchModel) -> SwitchModel {
        var model = model
        for name in Set(desired.ports.compactMap(\.namespace)) where model.namespaces[name] == nil {
            if let found = try? NetworkNamespace.open(named: name, in: options.namespaceDirectory) {
                model.namespaces[name] = LiveNamespace(namespace: found, isOurs: false)
            }
        }
        return model
    }

    /// As ``observingNamespaces(of:in:)``, and the MTUs of the ways to other hosts.
    private func observe(
        _ part: HostPart, in model: SwitchModel
    ) -> (observed: Observed, model: SwitchModel) {
        let model = observingNamespaces(of: part.topology, in: model)
        var observed = model.observed
        observed.underlayMTUs = underlayMTUs(of: part.tunnels)
        return (observed, model)
    }

    /// Throws when the device is not there, is down, lacks an address, or has another MTU than it
    /// should.
    func verify(
        _ device: LivePort.Device, mtu: Int?, addresses: [InterfaceAddress]
    ) throws {
        let (link, present) = try provisioning.inside(device.namespace) {
            let socket = try NetlinkSocket()
            return (
                try socket.link(.index(device.index)), try socket.addresses(of: device.index)
            )
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
        for address in addresses where !present.contains(address) {
            throw SystemError(
                "keep the address \(address) on device '\(device.name)'", .addressNotAvailable,
                remedy: "something else on this host removes it")
        }
    }

    // MARK: Devices that come and go

    /// Follows a link event of a namespace (nil: the switch's own) that ports use.
    ///
    /// It waits for an apply that is under way: that works on a copy of the model, which in the end
    /// would overwrite what is noted here.
    func handle(_ event: LinkWatcher.Event, in namespace: String?) {
        changes.withLock { state in
            guard !isStopped else { return }
            if case .settled = event {
                if namespace == nil { reconcileDevices(&state) }
            } else {
                follow(event, in: namespace)
            }
        }
    }

    private func follow(_ event: LinkWatcher.Event, in namespace: String?) {
        switch event {
        case .settled: break
        case .overrun:
            for port in model.withLock({ $0.ports }) where port.spec.namespace == namespace {
                refresh(port)
            }
        case .removed(let index):
            setCondition(.missingDevice) {
                $0.spec.namespace == namespace && $0.device?.index == index && !$0.isBorrowed
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
            } else if port.device?.index == link.index,
                port.condition(with: link) != port.condition
            {
                // The event may be older than what an apply has done since: the kernel knows.
                refresh(port)
            }
        }
    }

    private func refresh(_ port: LivePort) {
        guard let device = port.device else { return }
        let link = try? provisioning.inside(device.namespace) {
            try NetlinkSocket().link(.index(device.index))
        }
        // One that is gone is the business of the devices' reconciliation.
        if link == nil, port.isBorrowed { return }
        setCondition(link.map { port.condition(with: $0) } ?? .missingDevice) {
            $0.number == port.number
        }
    }

    /// A device of the right name appeared where a port has lost its own: use it.
    private func takeBack(_ port: LivePort) {
        guard let device = port.device else { return }
        do {
            // An event may tell of a device that is gone again, which to open would be to make.
            let isThere = try provisioning.inside(device.namespace) {
                try NetlinkSocket().link(.name(device.name)) != nil
            }
            guard isThere else { return }
            let mtu = model.withLock { $0.topology(includesAttached: true) }
                .deviceMTU(of: port.spec)
            let again = try makePort(
                port.spec, number: port.number, origin: port.origin, mtu: mtu,
                namespace: device.namespace, recorded: false)
            model.withLock { model in
                guard let place = model.ports.firstIndex(where: { $0.number == again.number })
                else { return }
                model.ports[place] = again
            }
            publishAndWait()
            log.notice("port '\(port.spec.name)': its device is back")
            noteState(of: again)
        } catch {
            log.warning("port '\(port.spec.name)': its device's name is back, but: \(error)")
        }
    }

    /// Notes what ports are in by now; with `changes` held.
    func setCondition(
        _ condition: ObservedPort.Condition, where matches: (LivePort) -> Bool
    ) {
        var movesFloods = false
        let changed = model.withLock { model -> [String] in
            var changed: [String] = []
            for place in model.ports.indices
            where matches(model.ports[place]) && model.ports[place].condition != condition {
                let hadPeer = model.ports[place].hasPeer
                model.ports[place].condition = condition
                if model.ports[place].hasPeer != hadPeer { movesFloods = true }
                changed.append(model.ports[place].spec.name)
            }
            return changed
        }
        if movesFloods { publishAndWait() }
        for name in changed {
            switch condition {
            case .up: log.notice("port '\(name)' is up")
            case .down(let reason): log.warning("port '\(name)' is down: \(reason)")
            case .missingDevice: log.warning("port '\(name)' is down: its device is gone")
            }
            if let port = model.withLock({ $0.port(named: name) }) { noteState(of: port) }
        }
    }
}
