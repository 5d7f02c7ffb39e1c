import Capture
import ControlAPI
import Dataplane
import Foundation
import Glibc
import Ports

/// One capture: from the workers' rings through the filter to a client, as pcapng.
///
/// The switch never waits for it: a client that reads too slowly fills its socket, then the rings,
/// and from then on records are lost and counted in the interface statistics. The thread looks at the
/// rings every five milliseconds; with several workers each look's records are put in order of time.
struct CaptureService {
    let controller: Controller
    let connection: SeqpacketSocket

    /// Bytes that a message to the client holds at most, one long frame's block aside.
    private static let messageByteCount = 48 << 10
    private static let interval: UInt32 = 5_000

    /// A record taken out of a ring.
    private struct Taken {
        var record: FrameRecord
        var bytes: [UInt8]
    }

    func run(_ request: CaptureRequest, until isStopping: () -> Bool) throws {
        let model = controller.model.withLock { $0 }
        let known = model.ports.map(point) + model.tunnels.map(point)
        var points: [CapturePoint] = []
        for name in request.ports {
            guard let point = known.first(where: { $0.name == name }) else {
                let names = known.map(\.name).prefix(12).joined(separator: ", ")
                return try refuse("there is no port '\(name)'; there are: \(names)")
            }
            if !points.contains(where: { $0.portIndex == point.portIndex }) {
                points.append(point)
            }
        }
        if request.ports.isEmpty { points = known }
        let filter: CaptureFilter
        do {
            filter = try CaptureFilter(request.filter)
        } catch {
            return try refuse("\(error)")
        }
        // A client may send any number.
        let snapLength =
            request.snaplen > 0
            ? min(request.snaplen, SlotSize.maximumFrame) : SlotSize.maximumFrame
        let tap = CaptureTap(
            ports: Set(points.map(\.portIndex)), snapLength: snapLength,
            capturesIngress: request.direction != .egress,
            capturesEgress: request.direction != .ingress, workers: controller.options.workers,
            portCapacity: controller.fabric.portCapacity)
        try controller.add(tap)
        defer { controller.remove(tap) }
        try connection.send(try DataReply(ok: true).json())
        try stream(request, filter: filter, points: points, tap: tap, until: isStopping)
    }

    private func refuse(_ sentence: String) throws {
        try connection.send(try DataReply(ok: false, error: sentence).json())
    }

    private func stream(
        _ request: CaptureRequest, filter: CaptureFilter, points: [CapturePoint],
        tap: CaptureTap, until isStopping: () -> Bool
    ) throws {
        try connection.setNonBlocking(true)
        var session = CaptureSession(
            configuration: CaptureSession.Configuration(
                filter: filter, snapLength: UInt32(tap.snapLength),
                maximumFrameCount: request.count > 0 ? UInt64(request.count) : nil),
            section: PcapngSection(application: "heddle \(HeddleVersion.current)"),
            points: points,
            start: CaptureSession.Clock(
                monotonicNanoseconds: WorkerThread.monotonicNanoseconds(),
                wallNanoseconds: CaptureService.wallNanoseconds()))
        var output: [UInt8] = []
        session.begin(into: &output)
        try send(&output, until: isStopping)
        var isOver = false
        while !isOver {
            isOver = isStopping() || clientWantsEnd()
            var taken = take(from: tap, sorts: tap.rings.count > 1)
            if taken.isEmpty, !isOver {
                usleep(CaptureService.interval)
                continue
            }
            while !taken.isEmpty {
                for one in taken {
                    let outcome = one.bytes.withUnsafeBytes { bytes in
                        session.record(
                            CaptureRecord(
                                portIndex: one.record.port,
                                direction: one.record.point == .egress ? .egress : .ingress,
                                timestampNanoseconds: one.record.time,
                                originalByteCount: one.record.originalByteCount, bytes: bytes),
                            into: &output)
                    }
                    if outcome == .over { isOver = true }
                    if output.count >= CaptureService.messageByteCount {
                        try send(&output, until: isStopping)
                    }
                }
                try send(&output, until: isStopping)
                if session.isOver(atMonotonicNanoseconds: 0) { isOver = true }
                // At the end, what is still in the rings belongs to the capture.
                taken = isOver ? take(from: tap, sorts: tap.rings.count > 1) : []
            }
        }
        session.finish(
            atMonotonicNanoseconds: WorkerThread.monotonicNanoseconds(), ringDrops: tap.dropped,
            into: &output)
        try send(&output, until: isStopping)
    }

    private func point(_ port: LivePort) -> CapturePoint {
        var description = port.spec.membership.networks.joined(separator: ", ")
        description = "network \(description)"
        if let device = port.device {
            description += ", device \(device.name)"
            if let namespace = port.spec.namespace { description += " in namespace \(namespace)" }
        }
        var address: UInt64?
        if case .tap(let tap) = port.spec.attachment {
            address =
                (tap.mac ?? controller.provisioning.derivedAddress(of: port.spec)).rawValue
        }
        return CapturePoint(
            portIndex: port.number, name: port.spec.name, description: description,
            macAddress: address)
    }

    /// A tunnel shows its inner frames.
    private func point(_ tunnel: LiveTunnel) -> CapturePoint {
        CapturePoint(
            portIndex: tunnel.number, name: tunnel.spec.name,
            description: "networks \(tunnel.spec.networks.joined(separator: ", ")), inside the "
                + "tunnel to \(tunnel.spec.remote)",
            macAddress: nil)
    }

    private func take(from tap: CaptureTap, sorts: Bool) -> [Taken] {
        var taken: [Taken] = []
        for ring in tap.rings {
            var remaining = 4096
            while remaining > 0,
                ring.consume({ record, bytes in
                    taken.append(Taken(record: record, bytes: Array(bytes)))
                })
            { remaining -= 1 }
        }
        if sorts { taken.sort { $0.record.time < $1.record.time } }
        return taken
    }

    /// Sends whole blocks and empties `output`; waits for a slow client for as long as it takes, and
    /// when the daemon ends for half a second.
    private func send(_ output: inout [UInt8], until isStopping: () -> Bool) throws {
        guard !output.isEmpty else { return }
        var turnsLeft = 3
        while try !connection.send(output) {
            if isStopping() {
                guard turnsLeft > 0 else {
                    throw SystemError("send to the capture's reader", .timedOut)
                }
                turnsLeft -= 1
            }
            var polled = pollfd(
                fd: connection.descriptor.rawValue, events: Int16(POLLOUT), revents: 0)
            poll(&polled, 1, 200)
            if polled.revents & Int16(POLLHUP | POLLERR) != 0 {
                throw SystemError("send to the capture's reader", .brokenPipe)
            }
        }
        output.removeAll(keepingCapacity: true)
    }

    /// Whether the client said stop or went away.
    private func clientWantsEnd() -> Bool {
        guard let reception = try? connection.receive(upTo: 4096, descriptors: 0) else {
            return true
        }
        switch reception {
        case .message: return true
        case .closed: return true
        case .wouldBlock: return false
        }
    }

    private static func wallNanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}

extension Controller {
    /// Makes the workers copy frames for a capture from the next burst on.
    func add(_ tap: CaptureTap) throws {
        try changing { _ in
            captures.withLock { $0.append(tap) }
            publishAndWait()
        }
    }

    ///
    /// When the switch ends first, its workers are gone, and so is what they would have copied.
    func remove(_ tap: CaptureTap) {
        try? changing { _ in
            captures.withLock { $0.removeAll { $0 === tap } }
            publishAndWait()
        }
    }
}
