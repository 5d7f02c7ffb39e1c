import Synchronization

/// What the workers of one switch share: the FDB, the current snapshot, and each other's links.
///
/// Worker 0 owns the FDB.
package final class Fabric: Sendable {
    package let fdb: FDB
    package let cell: SnapshotCell
    package let links: [WorkerLink]
    package let portCapacity: Int
    package let domainCapacity: Int
    private let retired = Mutex<[Snapshot]>([])

    package init(
        workers: Int = 1, portCapacity: Int = 4096, domainCapacity: Int = 4096,
        fdbCapacity: Int = FDB.defaultCapacity, seed: UInt64? = nil,
        memory: any ZeroedMemory = HeapMemory()
    ) {
        precondition(workers >= 1 && workers <= 64)
        self.portCapacity = portCapacity
        self.domainCapacity = domainCapacity
        fdb = FDB(
            maximumEntries: fdbCapacity, portCapacity: portCapacity, seed: seed,
            memory: memory)
        cell = SnapshotCell(Snapshot(DataplaneConfiguration(), generation: 0))
        links = (0..<workers).map {
            WorkerLink(
                index: $0, workerCount: workers, portCapacity: portCapacity,
                domainCapacity: domainCapacity)
        }
    }

    /// Publishes a configuration as the next generation and wakes every worker; returns the
    /// generation, which ``isAdopted(_:)`` asks about.
    ///
    /// The snapshot it replaces is kept until ``reclaim()`` finds that no worker uses it, so that no
    /// worker pays for closing a port.
    ///
    /// - Precondition: ports and domains are numbered below the capacities.
    package func publish(_ configuration: DataplaneConfiguration) -> UInt64 {
        let previous = cell.load()
        let generation = previous.generation + 1
        let snapshot = Snapshot(configuration, generation: generation)
        // Counters and chains have a place for each and are not asked again per frame.
        precondition(snapshot.portCount <= portCapacity, "a port's number is out of range")
        precondition(snapshot.domainCount <= domainCapacity, "a domain's number is out of range")
        precondition(
            configuration.ports.allSatisfy { $0.worker < links.count }
                && configuration.underlays.allSatisfy { $0.worker < links.count },
            "no such worker")
        retired.withLock { $0.append(previous) }
        cell.publish(snapshot)
        for link in links { link.wake() }
        return generation
    }

    /// Lets go of the snapshots that every worker has moved on from, and with them of ports that
    /// nobody else holds.
    package func reclaim() {
        let oldest = links.map { $0.reportedGeneration.load(ordering: .acquiring) }.min() ?? 0
        let freed = retired.withLock { retired in
            let freed = retired.filter { $0.generation < oldest }
            retired.removeAll { $0.generation < oldest }
            return freed
        }
        // Released here, outside the lock: closing a device takes the kernel milliseconds.
        _ = freed
    }

    /// Whether every worker uses `generation` or a later one.
    package func isAdopted(_ generation: UInt64) -> Bool {
        links.allSatisfy { $0.reportedGeneration.load(ordering: .acquiring) >= generation }
    }

    // MARK: Counters, summed over the workers

    package func value(_ counter: PortCounter, port: UInt16) -> UInt64 {
        links.reduce(0) { $0 &+ $1.counters.value(counter, port: port) }
    }

    package func value(_ reason: DropReason, port: UInt16) -> UInt64 {
        links.reduce(0) { $0 &+ $1.counters.value(reason, port: port) }
    }

    /// When a tunnel's far end was last heard, in monotonic nanoseconds; 0 for never.
    package func lastHeard(_ tunnel: UInt16) -> UInt64 {
        links.map { $0.counters.lastHeard(tunnel) }.max() ?? 0
    }

    package func value(_ counter: DomainCounter, domain: UInt16) -> UInt64 {
        links.reduce(0) { $0 &+ $1.counters.value(counter, domain: domain) }
    }

    package func value(_ reason: DropReason, domain: UInt16) -> UInt64 {
        links.reduce(0) { $0 &+ $1.counters.value(reason, domain: domain) }
    }
}
