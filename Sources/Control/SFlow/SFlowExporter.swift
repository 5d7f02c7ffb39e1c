// Sends a collector what passes: samples of frames, which workers leave in a tap's rings, and the
// ports' counters.
//
// Workers never wait for it. A ring that is full, and a socket that does not take a datagram, lose
// samples; both are told in the samples' drops. A collector that cannot be reached is tried again
// every few seconds. Its thread looks into the rings twenty times a second, so that a sample is told
// within that time and a datagram carries several. Counters are spread over the polling interval: all
// ports at once would be a burst of datagrams.
//
// Its limits: it is told by IP address, not by name; datagrams are not larger than an Ethernet path
// takes, so that a long header leaves room for few samples in one.

import Dataplane
import Glibc
import Logging
import Ports
import Synchronization
import Topology
import Wire

final class SFlowExporter: Sendable {
    /// Where the exporter looks.
    struct Source: Sendable {
        /// Numbers of all ports now, sorted.
        var ports: @Sendable () -> [UInt16]
        /// A port's counters, without sequence number; nil when it has gone.
        var counters: @Sendable (UInt16) -> SFlowDatagram.CounterSample?
        /// Frames that a port has received.
        var received: @Sendable (UInt16) -> UInt64
        var uptimeMilliseconds: @Sendable () -> UInt32
    }

    let spec: SFlowSpec
    let tap: CaptureTap
    private let wake: WakeDescriptor
    private let isStopping = Atomic<Bool>(false)
    private let thread: Mutex<NamedThread?>

    private static let turnMilliseconds: Int32 = 50
    private static let retrySeconds: UInt64 = 5

    init(_ spec: SFlowSpec, tap: CaptureTap, source: Source, log: Logger) throws(SystemError) {
        self.spec = spec
        self.tap = tap
        wake = try WakeDescriptor()
        thread = Mutex(nil)
        let started = try NamedThread("heddle-sflow") { [self] in run(source, log) }
        thread.withLock { $0 = started }
    }

    /// A number that is not zero, which means "unknown".
    static func index(of port: UInt16) -> UInt32 { UInt32(port) + 1 }

    /// Ends the thread and waits for it; a second call does nothing.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake.signal()
        let ended = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        ended?.join()
    }

    private func run(_ source: Source, _ log: Logger) {
        var report = SFlowReport(spec: spec, source: source)
        var socket: DatagramSocket?
        var nextTry: UInt64 = 0
        var hasComplained = false
        while !isStopping.load(ordering: .acquiring) {
            var polled = pollfd(fd: wake.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            poll(&polled, 1, SFlowExporter.turnMilliseconds)
            let now = WorkerThread.monotonicNanoseconds()
            if socket == nil, now >= nextTry {
                nextTry = now + SFlowExporter.retrySeconds * 1_000_000_000
                do throws(SystemError) {
                    let made = try DatagramSocket(
                        to: spec.collector.address, port: spec.collector.port)
                    report.agent = spec.agent ?? made.local
                    socket = made
                    if hasComplained { log.notice("sflow: collector \(spec.collector) is there") }
                    hasComplained = false
                } catch {
                    if !hasComplained {
                        log.warning(
                            "sflow: \(error); trying again every \(SFlowExporter.retrySeconds) s")
                    }
                    hasComplained = true
                }
            }
            let send = { (bytes: [UInt8]) in socket?.send(bytes) ?? false }
            takeSamples(into: &report, send)
            report.addCounters(at: now, send)
            report.flush(send)
        }
    }

    private func takeSamples(into report: inout SFlowReport, _ send: ([UInt8]) -> Bool) {
        for ring in tap.rings {
            // Not for ever: a flood of samples must not keep counters from being told.
            var remaining = 4096
            while remaining > 0,
                ring.consume({ record, bytes in
                    let port = record.port
                    report.add(
                        port: port, output: SFlowDatagram.Output(record),
                        originalByteCount: record.originalByteCount, header: Array(bytes),
                        ringDrops: tap.rings.reduce(0) { $0 &+ $1.dropped(port: port) }, send)
                })
            { remaining -= 1 }
        }
    }
}
