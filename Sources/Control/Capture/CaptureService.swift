import Capture
import ControlAPI
import Dataplane
import Foundation
import Glibc
import Ports

/// One capture: from the workers' rings to a client, as pcapng.
///
/// The switch never waits for it: a client that reads too slowly fills its socket, then the rings,
/// and from then on records are lost and counted in the interface statistics. The thread looks at the
/// rings every twenty milliseconds, every five while they fill, and hands over what it has when that is
/// worth a message or twenty times a second: a capture of little costs little. Records of
/// several workers are merged by time: what is younger than a look is left for the next one, as another
/// worker may yet publish something older.
struct CaptureService {
    let controller: Controller
    let connection: SeqpacketSocket

    /// Bytes that a message to the client holds at most, one long frame's block aside: few messages wake
    /// it seldom.
    private static let messageByteCount = 160 << 10
    /// Bytes of messages that it has not taken yet.
    private static let socketByteCount = 1 << 20
    /// Microseconds between looks.
    private static let busyInterval: UInt32 = 5_000
    private static let quietInterval: UInt32 = 20_000
    /// Bytes of a look that is followed by another soon: a fraction of a ring.
    private static let busyByteCount = 32 << 10
    /// Records taken at a look, and at the last one: as many as rings hold.
    private static let lookLimit = 16_384
    private static let lastLookLimit = 262_144
    private static let handoverNanoseconds: UInt64 = 50_000_000

    func run(_ request: CaptureRequest, until isStopping: () -> Bool) throws {
        let plan: CapturePlan
        do throws(CapturePlan.Refusal) {
            plan = try CapturePlan(request, controller)
        } catch {
            return try refuse(error.sentence)
        }
        var output = CaptureOutput(
            plan: plan, controller: controller, clock: CaptureOutput.clockNow())
        if request.since != nil || request.recording != nil {
            let past: [RecordedFrame]
            do throws(CapturePlan.Refusal) {
                past = try controller.past(request)
            } catch {
                return try refuse(error.sentence)
            }
            return try replay(past, into: &output, messages: begin(), until: isStopping)
        }
        let tap = plan.tap(controller)
        do throws(CapturePlan.Refusal) {
            try controller.add(tap)
        } catch {
            return try refuse(error.sentence)
        }
        defer { controller.remove(tap) }
        try stream(tap, into: &output, messages: begin(), until: isStopping)
    }

    /// Tells the client that there will be a capture.
    ///
    /// - Returns: how long a message to it may be, a long frame's block aside.
    private func begin() throws -> Int {
        try connection.send(try DataReply(ok: true).json())
        try connection.setNonBlocking(true)
        let room = try connection.reserve(sending: CaptureService.socketByteCount)
        return min(CaptureService.messageByteCount, room / 2)
    }

    private func refuse(_ sentence: String) throws {
        try connection.send(try DataReply(ok: false, error: sentence).json())
    }

    /// Sends what the flight recorder has.
    private func replay(
        _ frames: [RecordedFrame], into output: inout CaptureOutput, messages limit: Int,
        until isStopping: () -> Bool
    ) throws {
        output.begin()
        for frame in frames where !output.isOver {
            frame.bytes.withUnsafeBytes { output.addRecorded(frame.record, $0) }
            if output.bytes.count >= limit {
                try send(&output.bytes, until: isStopping)
            }
        }
        output.finish(lost: [:], rejected: [:])
        try send(&output.bytes, until: isStopping)
    }

    private func stream(
        _ tap: CaptureTap, into output: inout CaptureOutput, messages limit: Int,
        until isStopping: () -> Bool
    ) throws {
        output.begin()
        try send(&output.bytes, until: isStopping)
        var isOver = false
        var lastHandover = WorkerThread.monotonicNanoseconds()
        while !isOver {
            isOver = isStopping() || clientWantsEnd()
            let now = WorkerThread.monotonicNanoseconds()
            // At the end, what is still in the rings belongs to the capture.
            let horizon =
                isOver || tap.rings.count == 1
                ? UInt64.max
                : now - UInt64(CaptureService.busyInterval) * 1000
            var taken = 0
            // A flood may come faster than it is taken: the client is listened to in between.
            var left = isOver ? CaptureService.lastLookLimit : CaptureService.lookLimit
            while left > 0, !output.isOver, let ring = oldest(tap, before: horizon),
                ring.consume({ record, bytes in
                    taken += bytes.count
                    output.add(record, bytes)
                })
            {
                left -= 1
                if output.bytes.count >= limit {
                    try send(&output.bytes, until: isStopping)
                }
            }
            if now - lastHandover >= CaptureService.handoverNanoseconds {
                try send(&output.bytes, until: isStopping)
                lastHandover = now
            }
            if output.isOver { isOver = true }
            if !isOver, left > 0 {
                usleep(
                    taken > CaptureService.busyByteCount
                        ? CaptureService.busyInterval : CaptureService.quietInterval)
            }
        }
        var rejected: [UInt16: UInt64] = [:]
        for point in output.portNumbers { rejected[point] = tap.rejected(port: point) }
        output.finish(lost: tap.dropped, rejected: rejected)
        try send(&output.bytes, until: isStopping)
    }

    /// The ring whose next record is the oldest of all; nil when there is none before `horizon`.
    private func oldest(_ tap: CaptureTap, before horizon: UInt64) -> CaptureRing? {
        if tap.rings.count == 1 { return tap.rings[0] }
        var found: CaptureRing?
        var time = horizon
        for ring in tap.rings {
            guard let next = ring.nextTime, next < time else { continue }
            time = next
            found = ring
        }
        return found
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
}

extension Controller {
    /// Captures that may run at once; the dataplane has one place more, for sFlow's samples.
    static var captureLimit: Int { CaptureTap.limit - 1 }

    /// Makes the workers copy frames for a capture from the next burst on.
    func add(_ tap: CaptureTap) throws(CapturePlan.Refusal) {
        do {
            try changing { _ in
                try captures.withLock { captures in
                    guard captures.count < Controller.captureLimit else {
                        throw CapturePlan.Refusal(
                            sentence: "\(Controller.captureLimit) captures are running, which is "
                                + "the limit: end one of them")
                    }
                    captures.append(tap)
                }
                publishAndWait()
            }
        } catch let error as CapturePlan.Refusal {
            throw error
        } catch {
            throw CapturePlan.Refusal(sentence: "\(error)")
        }
    }

    /// Ends it.
    ///
    /// When the switch ends first, its workers are gone, and so is what they would have copied.
    func remove(_ tap: CaptureTap) {
        try? changing { _ in
            captures.withLock {
                $0.removeAll { $0 === tap }
                // Under one lock, so that the sum never goes back.
                endedCapturesLost.add(tap.dropped.values.reduce(0, &+), ordering: .relaxed)
            }
            publishAndWait()
        }
    }
}
