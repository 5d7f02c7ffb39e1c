import Topology
import Wire

/// What a collector is told, put into datagrams: sequence numbers, pools, drops, and which port's
/// counters are due. It has no socket, no thread and no clock of its own.
struct SFlowReport {
    private let spec: SFlowSpec
    private let source: SFlowExporter.Source
    /// What the collector calls the switch.
    var agent = IPAddress.v4(IPv4Address(rawValue: 0))

    private var datagram: SFlowDatagram?
    /// Ports of the datagram's flow samples, which are lost with it.
    private var sampledPorts: [UInt16] = []
    private var datagramSequence: UInt32 = 0
    private var flows: [UInt16: Flow] = [:]
    private var counterSequences: [UInt16: UInt32] = [:]
    private var due = Due()

    private struct Flow {
        var sequence: UInt32 = 0
        /// Samples that the socket did not take.
        var unsent: UInt64 = 0
    }

    /// The ports of a polling interval, of which those before `next` have been told.
    private struct Due {
        var start: UInt64?
        var ports: [UInt16] = []
        var next = 0
    }

    init(spec: SFlowSpec, source: SFlowExporter.Source) {
        self.spec = spec
        self.source = source
    }

    /// - Parameters:
    ///   - ringDrops: samples of the port that found no room since the start.
    ///   - send: takes a datagram; false when it is lost.
    mutating func add(
        port: UInt16, output: SFlowDatagram.Output, originalByteCount: UInt32, header: [UInt8],
        ringDrops: UInt64, _ send: ([UInt8]) -> Bool
    ) {
        var flow = flows[port] ?? Flow()
        flow.sequence &+= 1
        flows[port] = flow
        let sample = SFlowDatagram.FlowSample(
            sequence: flow.sequence, port: SFlowExporter.index(of: port),
            rate: UInt32(spec.sampling),
            pool: UInt32(truncatingIfNeeded: source.received(port)),
            drops: UInt32(truncatingIfNeeded: ringDrops &+ flow.unsent), output: output,
            originalByteCount: originalByteCount,
            header: Array(header.prefix(spec.headerByteCount)))
        makeRoom(for: sample.byteCount, send)
        datagram?.append(sample)
        sampledPorts.append(port)
    }

    /// Adds the counters that are due: of n ports, one each n-th of the polling interval.
    ///
    /// - Parameter now: monotonic nanoseconds.
    mutating func addCounters(at now: UInt64, _ send: ([UInt8]) -> Bool) {
        let interval = UInt64(spec.pollingSeconds) * 1_000_000_000
        if due.start.map({ now >= $0 + interval }) ?? true {
            due = Due(start: now, ports: source.ports())
            let present = Set(due.ports)
            counterSequences = counterSequences.filter { present.contains($0.key) }
            flows = flows.filter { present.contains($0.key) }
        }
        let elapsed = Double(now - (due.start ?? now)) / Double(interval)
        let end = min(due.ports.count, Int(elapsed * Double(due.ports.count)) + 1)
        while due.next < end {
            let port = due.ports[due.next]
            due.next += 1
            guard var sample = source.counters(port) else { continue }
            sample.sequence = (counterSequences[port] ?? 0) &+ 1
            counterSequences[port] = sample.sequence
            makeRoom(for: sample.byteCount, send)
            datagram?.append(sample)
        }
    }

    private mutating func makeRoom(for byteCount: Int, _ send: ([UInt8]) -> Bool) {
        if let datagram, !datagram.isEmpty, !datagram.hasRoom(for: byteCount) { flush(send) }
        if datagram == nil {
            datagramSequence &+= 1
            datagram = SFlowDatagram(
                agent: agent, sequence: datagramSequence,
                uptimeMilliseconds: source.uptimeMilliseconds())
        }
    }

    /// Sends what there is.
    mutating func flush(_ send: ([UInt8]) -> Bool) {
        guard let full = datagram, !full.isEmpty else { return }
        datagram = nil
        if !send(full.bytes) {
            for port in sampledPorts { flows[port, default: Flow()].unsent &+= 1 }
        }
        sampledPorts.removeAll(keepingCapacity: true)
    }
}
