import Control
import ControlAPI
import Dispatch
import Logging
import Synchronization

/// A switch that remembers what it was asked and answers with the samples.
final class FakeService: SwitchService {
    private let log = Mutex<[String]>([])
    /// Thrown by every call, if set.
    let refusal: ServiceError?

    init(refusal: ServiceError? = nil) {
        self.refusal = refusal
    }

    var calls: [String] { log.withLock { $0 } }

    private func note(_ call: String) throws(ServiceError) {
        log.withLock { $0.append(call) }
        if let refusal { throw refusal }
    }

    func version() throws(ServiceError) -> VersionInfo {
        try note("version")
        return Sample.version
    }

    func topology() throws(ServiceError) -> TopologyInfo {
        try note("topology")
        return Sample.topology
    }

    func planTopology(_ document: TopologyDocument) throws(ServiceError) -> PlanResult {
        try note("plan \(document.name) \(document.text.utf8.count)")
        return Sample.plan
    }

    func applyTopology(_ document: TopologyDocument) throws(ServiceError) -> ApplyResult {
        try note("apply \(document.name) \(document.text.utf8.count)")
        return Sample.apply
    }

    func ports() throws(ServiceError) -> PortList {
        try note("ports")
        return PortList(ports: [Sample.port])
    }

    func port(named name: String) throws(ServiceError) -> PortInfo {
        try note("port \(name)")
        return Sample.port
    }

    func attachPort(_ request: PortAttachRequest) throws(ServiceError) -> PortInfo {
        try note("attach \(request.name)")
        return Sample.port
    }

    func detachPort(named name: String) throws(ServiceError) -> Acknowledgement {
        try note("detach \(name)")
        return Acknowledgement(message: "port '\(name)' is detached")
    }

    func networks() throws(ServiceError) -> NetworkList {
        try note("networks")
        return NetworkList(networks: [Sample.network])
    }

    func network(named name: String) throws(ServiceError) -> NetworkInfo {
        try note("network \(name)")
        return Sample.network
    }

    func tunnels() throws(ServiceError) -> TunnelList {
        try note("tunnels")
        return TunnelList(tunnels: [Sample.tunnel])
    }

    func tunnel(named name: String) throws(ServiceError) -> TunnelInfo {
        try note("tunnel \(name)")
        return Sample.tunnel
    }

    func fdb(network: String?, port: String?, mac: String?) throws(ServiceError) -> FDBList {
        try note("fdb \(network ?? "-") \(port ?? "-") \(mac ?? "-")")
        return FDBList(entries: [Sample.fdbEntry])
    }

    func addFDBEntry(_ request: FDBChangeRequest) throws(ServiceError) -> FDBEntryInfo {
        try note("add \(request.network) \(request.mac) \(request.port ?? "") \(request.kind)")
        return Sample.fdbEntry
    }

    func deleteFDBEntry(network: String, mac: String) throws(ServiceError) -> FDBFlushResult {
        try note("delete \(network) \(mac)")
        return FDBFlushResult(removed: 1)
    }

    func flushFDB(_ request: FDBFlushRequest) throws(ServiceError) -> FDBFlushResult {
        try note(
            "flush \(request.network ?? "-") \(request.port ?? "-") \(request.mac ?? "-")")
        return FDBFlushResult(removed: 7)
    }

    func trace(_ request: TraceRequest) throws(ServiceError) -> TraceInfo {
        try note("trace \(request.port) \(request.frame) \(request.network ?? "-")")
        return Sample.trace
    }

    func drops() throws(ServiceError) -> DropList {
        try note("drops")
        return DropList(drops: [Sample.drop])
    }

    func stats() throws(ServiceError) -> StatsInfo {
        try note("stats")
        return Sample.stats
    }

    func events(since: UInt64, kind: EventKind?, wait: Double) throws(ServiceError) -> EventList {
        try note("events \(since) \(kind?.rawValue ?? "-") \(wait)")
        return EventList(events: [Sample.event], last: 9)
    }

    func eventTotals() throws(ServiceError) -> [EventKind: UInt64] {
        try note("totals")
        return [.loop: 2]
    }

    func who(_ query: String) throws(ServiceError) -> WhoResult {
        try note("who \(query)")
        return WhoResult(query: query, matched: "IP address", stations: [Sample.station])
    }
}

/// One value of every kind, with every field set.
enum Sample {
    static let counters = TrafficCounters(
        receivedFrames: 10, receivedBytes: 1000, receivedSegments: 12, forwardedFrames: 6,
        floodedFrames: 2, consumedFrames: 1, ingressDroppedFrames: 1, egressCopies: 9,
        transmittedFrames: 7, transmittedBytes: 700, transmittedSegments: 8, queuedFrames: 1,
        egressDroppedFrames: 1)
    static let version = VersionInfo(
        version: "0.1.0", apiVersion: "v1", instance: "lab", pid: 42, sandbox: true,
        uptimeSeconds: 1.5)
    static let topology = TopologyInfo(
        name: "lab.yaml", text: "heddle: 1\n", topology: ["heddle": 1])
    static let plan = PlanResult(
        changes: [PlanChange(symbol: "+", subject: "port web-1", text: "tap in namespace web-1")],
        summary: "1 to add, 0 to change, 0 to remove", isEmpty: false)
    static let apply = ApplyResult(plan: plan, generation: 7, summary: "1 added")
    static let port = PortInfo(
        name: "web-1", number: 1, origin: .declared, kind: "tap", device: "hd-web-1",
        namespace: "web-1", socket: "/run/web-1.sock", peer: "pid 7", template: "vms", mode: .trunk,
        network: "blue", trunk: ["blue", "green"],
        native: "blue", state: .down, reason: "its device is gone", mac: "02:00:00:00:00:01",
        addresses: ["10.10.0.1/24"], mtu: 1500, isolated: true, offloads: ["csum", "tso4"],
        counters: counters)
    static let network = NetworkInfo(
        name: "blue", vlan: 10, mtu: 1500, ports: ["web-1"], fdbEntries: 1, counters: counters)
    static let tunnel = TunnelInfo(
        name: "vxlan:beta", number: 2, host: "beta", kind: "vxlan", port: 4789,
        local: "192.0.2.1", remote: "192.0.2.2", networks: ["blue"], state: .down,
        reason: "no route", device: "eth0", gateway: "192.0.2.254", neighbour: "failed",
        underlayMTU: 1500, maximumPacket: 1450, probe: .unprobed, lastHeardSeconds: 0.5,
        counters: counters)
    static let fdbEntry = FDBEntryInfo(
        network: "blue", vlan: 10, mac: "02:00:00:00:00:01", port: "vxlan:beta",
        vtep: "192.0.2.2", kind: .dynamic, ageSeconds: 2.5)
    static let trace = TraceInfo(
        number: 7,
        port: "web-1", action: "dropped", verdict: "dropped: tag-on-access: a tagged frame",
        reason: "tag-on-access", sentence: "a tagged frame", remedy: "make it a trunk",
        network: "blue", egress: ["web-2"],
        steps: [TraceStepInfo(step: "verdict", text: "dropped")])
    static let drop = DropInfo(
        port: "web-1", network: "blue", reason: "vlan-not-allowed", count: 3,
        sentence: "the tag names no network of this port", remedy: "add it to the port's trunk")
    static let stats = StatsInfo(
        uptimeSeconds: 1.5, generation: 7, totals: counters,
        fdb: FDBStats(
            entries: 1, capacity: 2, learned: 3, moved: 4, aged: 5, evicted: 6, refused: 7),
        workers: [
            WorkerStats(
                number: 0, generation: 7, bursts: 1, frames: 2, sleeps: 3, cpuSeconds: 0.5)
        ],
        ports: [PortStats(name: "web-1", state: .up, counters: counters)],
        captures: CaptureStats(running: 1, lostFrames: 2),
        process: ProcessStats(
            cpuSeconds: 1.5, residentBytes: 4096, virtualBytes: 8192, openDescriptors: 5,
            descriptorLimit: 1024, threads: 3, startTimeSeconds: 100))
    static let event = EventInfo(
        number: 9, time: "2026-01-02T03:04:05.678Z", kind: "loop", severity: .error, count: 2,
        firstTime: "2026-01-02T03:04:04.000Z", port: "web-1", otherPort: "web-2",
        network: "blue", tunnel: "vxlan:beta", sentence: "a loop", remedy: "cut it")
    static let station = StationInfo(
        network: "blue", vlan: 10, mac: "02:00:00:00:00:01", port: "web-1", host: "beta",
        tunnel: "vxlan:beta", namespace: "web-1", hostName: "web", portSinceSeconds: 60,
        lastSeenSeconds: 0.5,
        addresses: [StationAddress(address: "10.10.0.1", source: "arp", ageSeconds: 12)],
        fdb: "dynamic, heard 0 s ago", duplicates: ["02:00:00:00:00:02 at port web-2"])
}

/// Runs blocking work away from the few threads that Swift's tasks share; a test that blocked one
/// could starve the server under test.
func blocking<Value: Sendable>(
    _ work: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "test.blocking").async {
            continuation.resume(with: Result { try work() })
        }
    }
}

let silentLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
