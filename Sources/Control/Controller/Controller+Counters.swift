import ControlAPI
import Dataplane
import Netlink
import Ports
import Topology

/// Requests for counters.
extension Controller {
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
                    sleeps: link.sleeps.load(ordering: .relaxed),
                    cpuSeconds: threads[link.index].cpuSeconds)
            }, ports: rows, captures: captureStats, process: ProcessReading.now())
    }

    private var captureStats: CaptureStats {
        captures.withLock { taps in
            let lost = taps.reduce(endedCapturesLost.load(ordering: .relaxed)) { sum, tap in
                tap.dropped.values.reduce(sum, &+)
            }
            return CaptureStats(running: taps.count, lostFrames: lost)
        }
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
