import Dataplane
import Foundation
import Logging
import Netlink
import Ports
import Synchronization
import Topology

/// The control side of one switch: observes, plans, applies with undo, verifies, and answers.
///
/// Locks. `changes` serialises everything that changes the switch and is held across kernel
/// requests; it also guards the state on disk. `model` guards the picture that listings read and is
/// held for copies only, so that a listing never waits for an apply.
package final class Controller: Sendable {
    package struct Options: Sendable {
        package var store: StateStore
        package var namespaceDirectory: String
        package var workers: Int
        package var isSandbox: Bool
        /// Which host of a topology that has hosts this is.
        package var host: String

        package init(
            store: StateStore, namespaceDirectory: String, workers: Int = 1,
            isSandbox: Bool = false, host: String = ""
        ) {
            self.host = host
            self.store = store
            self.namespaceDirectory = namespaceDirectory
            self.workers = workers
            self.isSandbox = isSandbox
        }
    }

    /// Tunnels of one switch: three encapsulations to each of as many hosts as a topology may have.
    static let tunnelLimit = 3 * Topology.hostLimit
    /// Ports, tunnels and underlays are numbered below this; every tunnel may have its own underlay.
    static let numberLimit = Topology.portLimit + 2 * tunnelLimit

    let options: Options
    let fabric: Fabric
    let provisioning: DeviceProvisioning
    let instance: String
    let store: StateStore
    let log: Logger
    let startTime = DispatchTime.now()
    let model = Mutex(SwitchModel())
    /// What the state file holds; whoever changes the switch holds this lock.
    let changes: Mutex<InstanceState>
    let captures = Mutex<[CaptureTap]>([])
    /// What captures that have ended had lost; written with `captures` locked.
    let endedCapturesLost = Atomic<UInt64>(0)
    /// Tells a collector what passes; changed with `changes` held.
    let sflow = Mutex<SFlowExporter?>(nil)
    let recordings = Mutex(RecordingShelf())
    /// Where copies of the flight recorder are made.
    let freezing = DispatchQueue(label: "heddle-recorder")
    let origins = Mutex(CounterOrigins())
    /// Set with `changes` held, when nothing may change any more.
    private let hasStopped = Atomic<Bool>(false)
    let threads: [WorkerThread]
    let watcher: LinkWatcher
    /// Serves what is not frames of ports whose peers are processes.
    let peerLoop: PeerLoop
    /// Where news of peers wait for the lock of changes, in order.
    let peerNews = DispatchQueue(label: "heddle-peer-news")
    let nextLease = Atomic<UInt64>(0)
    let paths: UnderlayMonitor
    let probes: TunnelProbes
    /// What happened.
    package let journal = EventJournal()
    let watch: SwitchWatch
    /// Where holds and releases wait for the lock of changes, in order.
    let holds = DispatchQueue(label: "heddle-holds")
    let nextHold = Atomic<UInt64>(0)

    /// Loads the state and starts the workers; nothing is attached yet.
    package init(options: Options, log: Logger) throws {
        self.options = options
        self.log = log
        store = options.store
        let state = try store.load()
        try store.save(state)
        instance = state.instance
        changes = Mutex(state)
        peerLoop = try PeerLoop()
        provisioning = DeviceProvisioning(
            instance: state.instance, loop: peerLoop,
            guarded: GuardedDevices(instance: state.instance))
        let fabric = Fabric(
            workers: options.workers, portCapacity: Controller.numberLimit, memory: MappedMemory())
        self.fabric = fabric
        threads = try (0..<options.workers).map { try WorkerThread(fabric: fabric, index: $0) }
        watcher = try LinkWatcher(log: log)
        paths = try UnderlayMonitor(log: log)
        probes = try TunnelProbes(fabric: fabric, log: log)
        watch = try SwitchWatch(fabric: fabric, journal: journal, instance: state.instance)
        for thread in threads { try thread.start() }
        try peerLoop.start()
        freezeRecordings()
        recoverNamespaces()
        watcher.start { [weak self] namespace, event in self?.handle(event, in: namespace) }
        try paths.start { [weak self] states in self?.follow(states) }
        try watch.start(for: self)
    }

    /// Namespaces that an earlier run made and that still exist are ours again.
    private func recoverNamespaces() {
        changes.withLock { state in
            for record in state.namespaces {
                guard
                    let found = try? NetworkNamespace.open(
                        named: record.name, in: options.namespaceDirectory),
                    found.identity == record.identity
                else { continue }
                model.withLock {
                    $0.namespaces[record.name] = LiveNamespace(namespace: found, isOurs: true)
                }
            }
        }
    }

    /// Set when nothing may change any more; read it with `changes` held.
    var isStopped: Bool { hasStopped.load(ordering: .relaxed) }

    /// Ends the threads that follow what happens outside.
    private func stopFollowing() {
        watcher.stop()
        paths.stop()
        probes.stop()
        watch.stop()
        journal.close()
        sflow.withLock { $0 }?.stop()
    }

    /// Ends the threads and leaves everything else as it is: after a start that failed, what an
    /// earlier run left is for the next attempt.
    package func abandon() {
        stopFollowing()
        for thread in threads { thread.stop() }
        peerLoop.stop()
        provisioning.guarded.close()
    }

    /// Detaches everything, removes exactly what Heddle made and stops the workers.
    ///
    /// The stored topology stays, for the next start. A second call does nothing.
    package func stop() {
        stopFollowing()
        changes.withLock { state in
            guard !hasStopped.exchange(true, ordering: .relaxed) else { return }
            let ports = model.withLock { model in
                let ports = model.ports
                model.ports = []
                model.tunnels = []
                model.underlays = []
                return ports
            }
            // One that an apply started meanwhile.
            let told = sflow.withLock { exporter in
                defer { exporter = nil }
                return exporter
            }
            told?.stop()
            publishAndWait()
            fabric.reclaim()
            let staying = removeDevices(of: ports)
            state.devices.removeAll { record in
                ports.contains { record.isOf($0) } && !staying.contains { record.isOf($0) }
            }
            removeLeftovers(&state)
            let namespaces = model.withLock { model in
                let namespaces = model.namespaces
                model.namespaces = [:]
                return namespaces
            }
            for (name, live) in namespaces where live.isOurs {
                removeNamespace(name, expecting: live.namespace.identity, &state)
            }
            save(state)
        }
        for thread in threads { thread.stop() }
        peerLoop.stop()
    }

    /// Runs `body` with the lock that serialises changes held. A request that comes while the switch
    /// ends is refused: it would make devices that nobody removes, and wait for workers that are gone.
    func changing<Value>(_ body: (inout InstanceState) throws -> Value) throws -> Value {
        try changes.withLock { state in
            guard !isStopped else {
                throw ServiceError.conflict("the switch is ending: nothing was changed")
            }
            return try body(&state)
        }
    }

    /// Removes the devices that Heddle made for these ports and gives back the others, several at
    /// once; returns the ports for which it failed, whose devices stay on record.
    func removeDevices(of ports: [LivePort]) -> [LivePort] {
        let failures = Failures()
        ConcurrentForEach.run(ports) { [provisioning, log] port in
            do {
                try provisioning.remove(port)
            } catch {
                log.warning("port '\(port.spec.name)': its device stays behind: \(error)")
                // One that lost our mark is somebody else's now.
                if case TAPProvisioner.Failure.notOurs = error { return }
                failures.ports.withLock { $0.append(port) }
            }
        }
        return failures.ports.withLock { $0 }
    }

    private final class Failures: Sendable {
        let ports = Mutex<[LivePort]>([])
    }

    /// Removes a namespace that Heddle made, unless its name belongs to another by now.
    func removeNamespace(
        _ name: String, expecting identity: NetworkNamespace.Identity, _ state: inout InstanceState
    ) {
        do {
            try NetworkNamespace.remove(
                named: name, in: options.namespaceDirectory, expecting: identity)
        } catch {
            log.warning("namespace '\(name)' stays behind: \(error)")
        }
        state.namespaces.removeAll { $0.name == name }
    }

    /// Removes recorded devices that no port has: of a crashed run under another topology.
    func removeLeftovers(_ state: inout InstanceState) {
        // Of a guard too, on kernels that do not end it with its process.
        do {
            try IngressGuard.removeLeftovers(instance: instance)
        } catch {
            log.debug("\(error)")
        }
        let ports = model.withLock { $0.ports.filter(\.ownsDevice) }
        let leftovers = state.devices.filter { record in !ports.contains { record.isOf($0) } }
        var gone: [InstanceState.DeviceRecord] = []
        for record in leftovers {
            do {
                try removeLeftover(record)
                gone.append(record)
            } catch {
                log.warning("device '\(record.device)' of an earlier run stays behind: \(error)")
                // One that lost our mark is somebody else's now; any other is tried again next time.
                if case TAPProvisioner.Failure.notOurs = error { gone.append(record) }
            }
        }
        state.devices.removeAll { gone.contains($0) }
        let usedNamespaces = model.withLock { Set($0.ports.compactMap(\.spec.namespace)) }
        for record in state.namespaces where !usedNamespaces.contains(record.name) {
            model.withLock { _ = $0.namespaces.removeValue(forKey: record.name) }
            removeNamespace(record.name, expecting: record.identity, &state)
        }
    }

    func removeLeftover(_ record: InstanceState.DeviceRecord) throws {
        guard let name = record.namespace else {
            try TAPProvisioner.remove(name: record.device, mark: record.mark)
            return
        }
        guard
            let namespace = try NetworkNamespace.open(
                named: name, in: options.namespaceDirectory),
            namespace.identity == record.namespaceIdentity
        else { return }
        try TAPProvisioner.remove(
            name: record.device, mark: record.mark, in: namespace.descriptor)
    }

    func save(_ state: InstanceState) {
        do {
            try store.save(state)
        } catch {
            log.error("\(error); after a crash Heddle would not recognise what it made")
        }
    }

    // MARK: The dataplane

    /// Publishes the model and waits until every worker uses it; false when one does not come round.
    @discardableResult
    func publishAndWait() -> Bool {
        var captures = captures.withLock { $0 }
        if let exporter = sflow.withLock({ $0 }) { captures.append(exporter.tap) }
        let configuration = model.withLock { model in
            var configuration = model.configuration(workers: options.workers, captures: captures)
            configuration.recorder = recordings.withLock {
                $0.recorder(isOn: model.bridge.recorder, workers: options.workers)
            }
            return configuration
        }
        let generation = fabric.publish(configuration)
        for _ in 0..<50_000 {
            if fabric.isAdopted(generation) {
                fabric.reclaim()
                return true
            }
            usleep(100)
        }
        log.error("a worker did not take up generation \(generation) within 5 s")
        return false
    }

    /// Has the FDB's owner carry out an operation and waits for it; how many entries changed. Call it
    /// with `changes` held: the owner is there until the switch has stopped.
    @discardableResult
    func fdbCommand(_ operation: FDBCommand.Operation) -> Int {
        let done = DispatchSemaphore(value: 0)
        let changed = Atomic<Int>(0)
        fabric.links[0].send(
            FDBCommand(operation) { count in
                changed.store(count, ordering: .relaxed)
                done.signal()
            })
        done.wait()
        return changed.load(ordering: .relaxed)
    }

    var now: UInt32 { Worker.tick(WorkerThread.monotonicNanoseconds()) }
}
