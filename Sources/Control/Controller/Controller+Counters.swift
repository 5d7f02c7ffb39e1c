import ControlAPI
import Dataplane
import Netlink
import Ports
import Topology

/// Requests for counters: of drops, and of everything.
extension Controller {
    package func drops() -> DropList {
        let model = self.model.withLock { $0 }
        var rows: [DropInfo] = []
        for port in model.ports {
            for reason in DropReason.allCases where reason != .none {
                let count = value(reason, port: port.number)
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
        for (name, number) in model.countedNames where model.port(named: name) == nil {
            for reason in DropReason.allCases where reason != .none {
                let count = value(reason, port: number)
                guard count > 0 else { continue }
                rows.append(
                    DropInfo(
                        port: name, network: nil, reason: reason.name, count: count,
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
        var rows = lostByPackets(model)
        let taps = model.ports.filter {
            if case .tap = $0.spec.attachment { $0.device != nil } else { false }
        }
        let housed = Dictionary(grouping: taps) {
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

    /// Frames for which a device port's ring or a veth's had no room, as its packet socket counts
    /// them.
    private func lostByPackets(_ model: SwitchModel) -> [DropInfo] {
        model.ports.compactMap { port in
            guard let packets = port.attachment as? PacketPort, packets.receiveDropped > 0 else {
                return nil
            }
            var network: String?
            if case .access(let name) = port.spec.membership { network = name }
            return DropInfo(
                port: port.spec.name, network: network, reason: "device-queue-full",
                count: packets.receiveDropped,
                sentence:
                    "the ring between the kernel and the switch was full: the device receives "
                    + "more than the switch forwards",
                remedy: "pace the sender, or run with more workers ('--workers')")
        }
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
        for tunnel in model.tunnels {
            let counters = counters(port: tunnel.number)
            totals.add(counters)
            rows.append(
                PortStats(
                    name: tunnel.spec.name, state: tunnel.reason == nil ? .up : .down,
                    counters: counters))
        }
        for underlay in model.underlays {
            let counters = counters(port: underlay.number)
            totals.add(counters)
            rows.append(PortStats(name: underlay.spec.name, state: .up, counters: counters))
        }
        let fdb = fabric.fdb
        let fdbTotals = fdb.totals
        return StatsInfo(
            uptimeSeconds: uptime, generation: fabric.cell.generation, totals: totals,
            fdb: FDBStats(
                // The switch's own address in each network is nobody's host.
                entries: UInt64(
                    max(0, fdb.learnedCount + fdb.staticCount - model.domains.count)),
                capacity: UInt64(fdb.limit), learned: fdbTotals.learned, moved: fdbTotals.moved,
                aged: fdbTotals.aged, evicted: fdbTotals.evicted, refused: fdbTotals.refused),
            workers: fabric.links.map { link in
                WorkerStats(
                    number: link.index,
                    generation: link.reportedGeneration.load(ordering: .relaxed),
                    bursts: link.bursts.load(ordering: .relaxed),
                    frames: model.countedNames.reduce(0) {
                        $0 + link.counters.value(.received, port: $1.number)
                    },
                    sleeps: link.sleeps.load(ordering: .relaxed))
            }, ports: rows)
    }

    func counters(port: UInt16) -> TrafficCounters {
        var counters = TrafficCounters(
            receivedFrames: value(.received, port: port),
            receivedBytes: value(.receivedBytes, port: port),
            receivedSegments: value(.receivedSegments, port: port),
            forwardedFrames: value(.forwarded, port: port),
            floodedFrames: value(.flooded, port: port),
            consumedFrames: value(.consumed, port: port),
            egressCopies: value(.copies, port: port),
            transmittedFrames: value(.transmitted, port: port),
            transmittedBytes: value(.transmittedBytes, port: port),
            transmittedSegments: value(.transmittedSegments, port: port))
        for reason in DropReason.allCases where reason != .none {
            if reason.isEgress {
                counters.egressDroppedFrames += value(reason, port: port)
            } else {
                counters.ingressDroppedFrames += value(reason, port: port)
            }
        }
        let ended = counters.transmittedFrames + counters.egressDroppedFrames
        // Counters are read one by one while frames pass: a difference below zero is none.
        counters.queuedFrames =
            counters.egressCopies > ended ? counters.egressCopies - ended : 0
        return counters
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
