import ControlAPI
import Dataplane
import Dispatch
import Foundation
import Netlink
import Topology
import Wire

/// The control socket's requests, answered from the model and the dataplane's counters.
extension Controller: SwitchService {
    package func version() -> VersionInfo {
        VersionInfo(
            version: HeddleVersion.current, apiVersion: HeddleVersion.api, instance: instance,
            pid: Int(getpid()),
            sandbox: options.isSandbox, uptimeSeconds: uptime)
    }

    private var uptime: Double {
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
                // "+ port web-1: tap in namespace web-1": sign, subject, and what is said of it.
                let line = action.description
                let subject = line.dropFirst(2).prefix { $0 != ":" }
                return PlanChange(
                    symbol: String(line.prefix(1)), subject: String(subject),
                    text: String(line.dropFirst(2 + subject.count + 2)))
            }, summary: "\(plan.summary)", isEmpty: plan.isEmpty)
    }

    private func serviceError(_ error: any Error) -> ServiceError {
        switch error {
        case let error as ServiceError: error
        case let error as TopologyError: .badRequest(error.lines)
        case let error as PlanError: .conflict("\(error)")
        case let error as Transaction.Failure: .failed(error.lines)
        default: .failed(["\(error)"])
        }
    }

    // MARK: Ports

    package func ports() -> PortList {
        let model = self.model.withLock { $0 }
        let topology = model.topology(includesAttached: true)
        return PortList(ports: model.ports.map { info($0, topology) })
    }

    package func port(named name: String) throws(ServiceError) -> PortInfo {
        let model = self.model.withLock { $0 }
        guard let port = model.port(named: name) else { throw unknownPort(name, model) }
        return info(port, model.topology(includesAttached: true))
    }

    package func attachPort(_ request: PortAttachRequest) throws(ServiceError) -> PortInfo {
        do {
            let model = self.model.withLock { $0 }
            guard model.port(named: request.name) == nil else {
                throw ServiceError.conflict(
                    "port '\(request.name)' exists; 'heddle port detach \(request.name)' removes it"
                )
            }
            // The definition is JSON, which is YAML: it is decoded as a part of the topology that
            // it is to join, so that every rule of a file holds for it as well.
            var whole = model.topology(includesAttached: true).yaml
            whole.replace("\nports: {}\n", with: "\nports:\n")
            let name = String(
                decoding: try JSONEncoder().encode(request.name), as: UTF8.self)
            whole += "  \(name): \(try request.definition.text())\n"
            let spec: PortSpec
            do throws(TopologyError) {
                guard
                    let found = try Topology.decode(whole, file: "port '\(request.name)'")
                        .port(named: request.name)
                else { throw TopologyError(file: request.name, problems: []) }
                spec = found
            } catch {
                throw ServiceError.badRequest(error.problems.map(\.message))
            }
            try attach(spec)
            return try port(named: request.name)
        } catch {
            throw serviceError(error)
        }
    }

    package func detachPort(named name: String) throws(ServiceError) -> Acknowledgement {
        let model = self.model.withLock { $0 }
        guard let port = model.port(named: name) else { throw unknownPort(name, model) }
        guard port.origin == .attached else {
            throw .conflict(
                "port '\(name)' is declared by the topology: remove it from the file and apply")
        }
        do {
            try detach(port.spec)
            return Acknowledgement(message: "port '\(name)' is detached")
        } catch {
            throw serviceError(error)
        }
    }

    private func unknownPort(_ name: String, _ model: SwitchModel) -> ServiceError {
        .notFound(
            "there is no port '\(name)'; there are: "
                + listed(model.ports.map(\.spec.name)))
    }

    private func unknownNetwork(_ name: String, _ model: SwitchModel) -> ServiceError {
        .notFound(
            "there is no network '\(name)'; there are: " + listed(model.networks.map(\.name)))
    }

    private func listed(_ names: [String]) -> String {
        guard !names.isEmpty else { return "none" }
        let shown = names.prefix(12).joined(separator: ", ")
        return names.count > 12 ? shown + " and \(names.count - 12) more" : shown
    }

    private func info(_ port: LivePort, _ topology: Topology) -> PortInfo {
        let spec = port.spec
        var network: String?
        var trunk: [String] = []
        var native: String?
        var mode = PortMode.access
        switch spec.membership {
        case .access(let name): network = name
        case .trunk(let names, let name):
            mode = .trunk
            trunk = names
            native = name
        }
        var mac: String?
        var addresses: [String] = []
        var kind = "pcap"
        if case .tap(let tap) = spec.attachment {
            kind = "tap"
            mac =
                "\(tap.mac ?? provisioning.derivedAddress(of: spec.name))"
            addresses = tap.addresses.map { "\($0)" }
        }
        let (state, reason) = state(of: port)
        return PortInfo(
            name: spec.name, number: Int(port.number),
            origin: port.origin == .declared ? .declared : .attached, kind: kind,
            device: port.device?.name, namespace: spec.namespace, mode: mode, network: network,
            trunk: trunk, native: native, state: state, reason: reason, mac: mac,
            addresses: addresses, mtu: topology.deviceMTU(of: spec), isolated: spec.isolated,
            offloads: port.attachment.offloads.names, counters: counters(port: port.number))
    }

    private func state(of port: LivePort) -> (PortState, String?) {
        guard port.spec.up else { return (.down, "declared 'up: false'") }
        switch port.condition {
        case .up: return (.up, nil)
        case .down(let reason): return (.down, reason)
        case .missingDevice:
            return (
                .down,
                "device \(port.device?.name ?? "") is gone; apply the topology again to make it"
            )
        }
    }

    // MARK: Networks

    package func networks() -> NetworkList {
        let model = self.model.withLock { $0 }
        let entries = Dictionary(grouping: fabric.fdb.entries(now: now)) { $0.key.domain }
        return NetworkList(
            networks: model.networks.sorted { $0.name < $1.name }.map {
                info($0, model, entries: entries)
            })
    }

    package func network(named name: String) throws(ServiceError) -> NetworkInfo {
        let model = self.model.withLock { $0 }
        guard let network = model.network(named: name) else { throw unknownNetwork(name, model) }
        let entries = Dictionary(grouping: fabric.fdb.entries(now: now)) { $0.key.domain }
        return info(network, model, entries: entries)
    }

    private func info(
        _ network: NetworkSpec, _ model: SwitchModel, entries: [UInt16: [FDB.Entry]]
    ) -> NetworkInfo {
        let domain = model.domains[network.name] ?? 0
        var counters = TrafficCounters()
        counters.receivedFrames = fabric.value(.received, domain: domain)
        counters.receivedBytes = fabric.value(.receivedBytes, domain: domain)
        counters.floodedFrames = fabric.value(.flooded, domain: domain)
        for reason in DropReason.allCases where reason != .none {
            let count = fabric.value(reason, domain: domain)
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

    // MARK: FDB

    package func fdb(
        network: String?, port: String?, mac: String?
    ) throws(ServiceError) -> FDBList {
        let model = self.model.withLock { $0 }
        let (domain, number) = try numbers(network: network, port: port, model)
        let address = try mac.map { text throws(ServiceError) in try self.address(text) }
        let vlans = Dictionary(
            model.networks.map { ($0.name, Int($0.vlan?.rawValue ?? 0)) },
            uniquingKeysWith: { first, _ in first })
        let networkNames = Dictionary(
            model.domains.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        let portNames = Dictionary(
            model.ports.map { ($0.number, $0.spec.name) }, uniquingKeysWith: { first, _ in first })
        var rows: [FDBEntryInfo] = []
        for entry in fabric.fdb.entries(now: now) {
            if let domain, entry.key.domain != domain { continue }
            if let number, entry.port != number { continue }
            if let address, entry.key.address != address { continue }
            guard let networkName = networkNames[entry.key.domain],
                let portName = portNames[entry.port]
            else { continue }
            rows.append(
                FDBEntryInfo(
                    network: networkName, vlan: vlans[networkName] ?? 0,
                    mac: "\(entry.key.address)", port: portName,
                    kind: FDBEntryKind(entry.kind),
                    ageSeconds: entry.kind == .static
                        ? nil : Double(entry.ageTicks) / Double(FDB.ticksPerSecond)))
        }
        rows.sort { ($0.network, $0.mac) < ($1.network, $1.mac) }
        return FDBList(entries: rows)
    }

    package func addFDBEntry(_ request: FDBChangeRequest) throws(ServiceError) -> FDBEntryInfo {
        let address = try address(request.mac)
        guard !address.isMulticast, !address.isZero else {
            throw .badRequest([
                "\(request.mac) is no unicast address: only the address of one host has a port"
            ])
        }
        guard request.kind != .dynamic else {
            throw .badRequest([
                "dynamic entries are learned, not added; add a static one, or a sticky one"
            ])
        }
        return try changes.withLock { state throws(ServiceError) in
            let model = self.model.withLock { $0 }
            let (domain, number) = try numbers(
                network: request.network, port: request.port, model)
            guard let domain, let number, let port = model.port(numbered: number) else {
                throw .badRequest(["both a network and a port are needed"])
            }
            guard port.spec.membership.networks.contains(request.network) else {
                throw .badRequest([
                    "port '\(request.port)' is not in network '\(request.network)'; it is in: "
                        + listed(port.spec.membership.networks)
                ])
            }
            let key = FDBKey(domain: domain, address: address)
            let isStatic = request.kind == .static
            guard
                fdbCommand(isStatic ? .addStatic(key, port: number) : .addSticky(key, port: number))
                    == 1
            else {
                throw .conflict(
                    isStatic
                        ? "the FDB is full: raise 'switch: {fdb-limit: N}' or flush it"
                        : "\(address) is pinned to another port: delete that entry first")
            }
            self.model.withLock { model in
                model.staticEntries.removeAll {
                    $0.network == request.network && $0.address == address
                }
                guard isStatic else { return }
                model.staticEntries.append(
                    StaticEntry(network: request.network, address: address, port: request.port))
            }
            return FDBEntryInfo(
                network: request.network,
                vlan: Int(model.network(named: request.network)?.vlan?.rawValue ?? 0),
                mac: "\(address)", port: request.port, kind: request.kind)
        }
    }

    package func deleteFDBEntry(network: String, mac: String) throws(ServiceError)
        -> FDBFlushResult
    {
        let address = try address(mac)
        let model = self.model.withLock { $0 }
        let (domain, _) = try numbers(network: network, port: nil, model)
        let removed = fdbCommand(.delete(FDBKey(domain: domain ?? 0, address: address)))
        guard removed > 0 else {
            throw .notFound("network '\(network)' has no FDB entry for \(address)")
        }
        self.model.withLock { model in
            model.staticEntries.removeAll { $0.network == network && $0.address == address }
        }
        return FDBFlushResult(removed: removed)
    }

    package func flushFDB(_ request: FDBFlushRequest) throws(ServiceError) -> FDBFlushResult {
        let model = self.model.withLock { $0 }
        let (domain, number) = try numbers(network: request.network, port: request.port, model)
        let address = try request.mac.map { text throws(ServiceError) in try self.address(text) }
        return FDBFlushResult(
            removed: fdbCommand(
                .flush(
                    FDB.FlushPattern(port: number, domain: domain, address: address?.rawValue))))
    }

    private func numbers(
        network: String?, port: String?, _ model: SwitchModel
    ) throws(ServiceError) -> (domain: UInt16?, port: UInt16?) {
        var domain: UInt16?
        var number: UInt16?
        if let network {
            guard let found = model.domains[network] else { throw unknownNetwork(network, model) }
            domain = found
        }
        if let port {
            guard let found = model.port(named: port) else { throw unknownPort(port, model) }
            number = found.number
        }
        return (domain, number)
    }

    private func address(_ text: String) throws(ServiceError) -> MACAddress {
        guard let address = MACAddress(text) else {
            throw .badRequest([
                "'\(text)' is no MAC address; write six octets as in 02:00:00:00:00:01"
            ])
        }
        return address
    }

    // MARK: Counters

    package func drops() -> DropList {
        let model = self.model.withLock { $0 }
        var rows: [DropInfo] = []
        for port in model.ports {
            for reason in DropReason.allCases where reason != .none {
                let count = fabric.value(reason, port: port.number)
                guard count > 0 else { continue }
                // An access port's drops are its one network's; a trunk's may be several.
                var network: String?
                if case .access(let name) = port.spec.membership { network = name }
                rows.append(
                    DropInfo(
                        port: port.spec.name, network: network, reason: reason.name, count: count,
                        sentence: reason.sentence, remedy: reason.remedy))
            }
        }
        rows += droppedByKernel(model)
        rows.sort { ($1.count, $0.port, $0.reason) < ($0.count, $1.port, $1.reason) }
        return DropList(drops: rows)
    }

    /// What never reached the switch: frames that a TAP's own queue had no room for. The kernel
    /// counts them, nobody else would tell.
    private func droppedByKernel(_ model: SwitchModel) -> [DropInfo] {
        var rows: [DropInfo] = []
        let housed = Dictionary(grouping: model.ports.filter { $0.device != nil }) {
            $0.spec.namespace
        }
        for ports in housed.values {
            let links = try? provisioning.inside(ports[0].device?.namespace) {
                let socket = try NetlinkSocket()
                return try ports.map { port in
                    try port.device.flatMap { try socket.link(.index($0.index)) }
                }
            }
            for (port, link) in zip(ports, links ?? []) {
                guard let link, link.transmitDropped > 0 else { continue }
                var network: String?
                if case .access(let name) = port.spec.membership { network = name }
                rows.append(
                    DropInfo(
                        port: port.spec.name, network: network, reason: "device-queue-full",
                        count: link.transmitDropped,
                        sentence: "the kernel's queue of the port's device was full: its sender is "
                            + "faster than the switch",
                        remedy: "pace the sender, or lengthen the queue for bursts: "
                            + "ip link set \(link.name) txqueuelen 5000"))
            }
        }
        return rows
    }

    package func stats() -> StatsInfo {
        let model = self.model.withLock { $0 }
        var totals = TrafficCounters()
        var rows: [PortStats] = []
        for port in model.ports {
            let counters = counters(port: port.number)
            totals.add(counters)
            rows.append(
                PortStats(name: port.spec.name, state: state(of: port).0, counters: counters))
        }
        let fdb = fabric.fdb
        let fdbTotals = fdb.totals
        return StatsInfo(
            uptimeSeconds: uptime, generation: fabric.cell.generation, totals: totals,
            fdb: FDBStats(
                entries: UInt64(max(0, fdb.learnedCount + fdb.staticCount)),
                capacity: UInt64(fdb.limit), learned: fdbTotals.learned, moved: fdbTotals.moved,
                aged: fdbTotals.aged, evicted: fdbTotals.evicted, refused: fdbTotals.refused),
            workers: fabric.links.map { link in
                WorkerStats(
                    number: link.index,
                    generation: link.reportedGeneration.load(ordering: .relaxed),
                    bursts: link.bursts.load(ordering: .relaxed),
                    frames: model.ports.reduce(0) {
                        $0 + link.counters.value(.received, port: $1.number)
                    },
                    sleeps: link.sleeps.load(ordering: .relaxed))
            }, ports: rows)
    }

    private func counters(port: UInt16) -> TrafficCounters {
        var counters = TrafficCounters(
            receivedFrames: fabric.value(.received, port: port),
            receivedBytes: fabric.value(.receivedBytes, port: port),
            receivedSegments: fabric.value(.receivedSegments, port: port),
            forwardedFrames: fabric.value(.forwarded, port: port),
            floodedFrames: fabric.value(.flooded, port: port),
            consumedFrames: fabric.value(.consumed, port: port),
            egressCopies: fabric.value(.copies, port: port),
            transmittedFrames: fabric.value(.transmitted, port: port),
            transmittedBytes: fabric.value(.transmittedBytes, port: port),
            transmittedSegments: fabric.value(.transmittedSegments, port: port))
        for reason in DropReason.allCases where reason != .none {
            if reason.isEgress {
                counters.egressDroppedFrames += fabric.value(reason, port: port)
            } else {
                counters.ingressDroppedFrames += fabric.value(reason, port: port)
            }
        }
        let ended = counters.transmittedFrames + counters.egressDroppedFrames
        // Counters are read one by one while frames pass: a difference below zero is none.
        counters.queuedFrames =
            counters.egressCopies > ended ? counters.egressCopies - ended : 0
        return counters
    }
}

extension FDBEntryKind {
    init(_ kind: FDB.Kind) {
        switch kind {
        case .dynamic: self = .dynamic
        case .sticky: self = .sticky
        case .static: self = .static
        }
    }
}

extension TrafficCounters {
    fileprivate mutating func add(_ other: TrafficCounters) {
        receivedFrames += other.receivedFrames
        receivedBytes += other.receivedBytes
        receivedSegments += other.receivedSegments
        forwardedFrames += other.forwardedFrames
        floodedFrames += other.floodedFrames
        consumedFrames += other.consumedFrames
        ingressDroppedFrames += other.ingressDroppedFrames
        egressCopies += other.egressCopies
        transmittedFrames += other.transmittedFrames
        transmittedBytes += other.transmittedBytes
        transmittedSegments += other.transmittedSegments
        queuedFrames += other.queuedFrames
        egressDroppedFrames += other.egressDroppedFrames
    }
}
