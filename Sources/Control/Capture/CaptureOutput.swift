import Capture
import ControlAPI
import Dataplane
import Glibc
import Ports
import Wire

/// From frame records to pcapng blocks: the frame as it was asked for (as seen, or as a wire would
/// carry it), its tag put back, its fate in words.
struct CaptureOutput {
    /// Whole blocks that wait to be sent.
    var bytes: [UInt8] = []
    private let plan: CapturePlan
    private let controller: Controller
    private var session: CaptureSession
    private var words: CaptureWords
    private var wire = WireView()
    private var outer: OuterHeaders?
    /// Whether super-frames are cut and checksums completed. Outside a tunnel there are no super-frames.
    private let completesFrames: Bool
    private var room: [UInt8] = []
    private(set) var portNumbers: [UInt16]
    /// When the switch was last asked about ports that are new.
    private var lastLook: UInt64 = 0

    init(plan: CapturePlan, controller: Controller, clock: CaptureSession.Clock) {
        self.plan = plan
        self.controller = controller
        let model = controller.model.withLock { $0 }
        words = CaptureWords(model)
        outer = plan.request.outer ? OuterHeaders(model) : nil
        completesFrames = plan.request.view == .wire || plan.request.outer
        portNumbers = plan.points.map(\.portIndex)
        session = CaptureSession(
            configuration: CaptureSession.Configuration(
                // What workers cannot run is run here; nothing is run twice.
                filter: plan.filter.workerProgram == nil ? plan.filter : .everything,
                expression: plan.filter.expression, snapLength: UInt32(plan.snapLength),
                maximumFrameCount: plan.request.count > 0 ? UInt64(plan.request.count) : nil),
            section: PcapngSection(application: "heddle \(HeddleVersion.current)"),
            points: outer?.points(of: plan.points) ?? plan.points, start: clock)
    }

    var isOver: Bool { session.isOver(atMonotonicNanoseconds: 0) }

    mutating func begin() {
        session.begin(into: &bytes)
        session.append(plan.names, into: &bytes)
    }

    mutating func finish(lost: [UInt16: UInt64], rejected: [UInt16: UInt64]) {
        session.finish(
            atMonotonicNanoseconds: WorkerThread.monotonicNanoseconds(), ringDrops: lost,
            rejected: rejected, into: &bytes)
    }

    /// Adds a frame as a tap copied it.
    mutating func add(_ record: FrameRecord, _ frame: UnsafeRawBufferPointer) {
        guard plan.wants(record) else { return }
        if !session.contains(record.port), !addPort(record.port) { return }
        if record.tci != 0 {
            withTag(record, frame) { output, record, frame in output.show(record, frame) }
        } else {
            show(record, frame)
        }
    }

    /// Adds a frame of the flight recorder, at each of the ports asked for that it passed.
    mutating func addRecorded(_ record: FrameRecord, _ frame: UnsafeRawBufferPointer) {
        guard plan.wants(record) else { return }
        let isDrop = record.reason != .none
        if plan.request.drops {
            guard isDrop, plan.reasons.isEmpty || plan.reasons.contains(record.reason) else {
                return
            }
        } else if record.point == .drop, !record.reason.isEgress {
            // Its ingress record says as much.
            return
        }
        // No worker has run the filter over these.
        let filter = plan.filter.workerProgram != nil ? plan.filter : .everything
        func matches(_ frame: UnsafeRawBufferPointer, _ record: FrameRecord) -> Bool {
            filter.matches(frame, originalByteCount: record.originalByteCount)
        }
        withTag(record, frame) { output, record, frame in
            guard matches(frame, record), output.session.contains(record.port) else { return }
            let request = output.plan.request
            if record.point == .drop || request.drops || request.direction != .egress {
                output.show(record, frame)
            }
        }
        // It left by that port as it came, but for its tag.
        guard record.point == .ingress, record.action == .forward, !plan.request.drops,
            plan.request.direction != .ingress, session.contains(record.egress),
            matches(frame, record)
        else { return }
        var copy = record
        copy.port = record.egress
        copy.point = .egress
        show(copy, frame)
    }

    /// A port that came after the beginning.
    private mutating func addPort(_ number: UInt16) -> Bool {
        let now = WorkerThread.monotonicNanoseconds()
        guard plan.takesAllPorts, now - lastLook > 100_000_000 else { return false }
        lastLook = now
        let model = controller.model.withLock { $0 }
        words = CaptureWords(model)
        guard
            let point = CapturePlan.points(model, controller).first(where: {
                $0.portIndex == number
            })
        else { return false }
        session.add(point, into: &bytes)
        portNumbers.append(number)
        return true
    }

    private mutating func withTag(
        _ record: FrameRecord, _ frame: UnsafeRawBufferPointer,
        _ body: (inout CaptureOutput, FrameRecord, UnsafeRawBufferPointer) -> Void
    ) {
        guard record.tci != 0, frame.count >= 12 else {
            body(&self, record, frame)
            return
        }
        var room = room
        self.room = []
        room.removeAll(keepingCapacity: true)
        room.append(contentsOf: frame[..<12])
        room.append(0x81)
        room.append(0x00)
        room.append(UInt8(record.tci >> 8))
        room.append(UInt8(record.tci & 0xFF))
        room.append(contentsOf: frame[12...])
        var tagged = record
        tagged.tci = 0
        tagged.originalByteCount += 4
        tagged.capturedByteCount += 4
        tagged.offload.shift(by: 4)
        room.withUnsafeBytes { body(&self, tagged, $0) }
        self.room = room
    }

    private mutating func show(_ record: FrameRecord, _ frame: UnsafeRawBufferPointer) {
        let isWhole = Int(record.originalByteCount) == frame.count
        let remarks = words.remarks(record)
        if completesFrames {
            var wire = wire
            _ = wire.forEachFrame(of: frame, offload: record.offload, isWhole: isWhole) {
                piece in
                write(
                    record, piece, remarks,
                    originalByteCount: isWhole ? UInt32(piece.count) : record.originalByteCount)
            }
            self.wire = wire
        } else {
            write(record, frame, remarks, originalByteCount: record.originalByteCount)
        }
    }

    private mutating func write(
        _ record: FrameRecord, _ frame: UnsafeRawBufferPointer, _ remarks: PcapngRemarks,
        originalByteCount: UInt32
    ) {
        var capture = CaptureRecord(
            portIndex: record.port, timestampNanoseconds: record.time,
            originalByteCount: originalByteCount, bytes: frame,
            packetID: record.id == 0 ? nil : record.id, remarks: remarks)
        if let outer, let packet = outer.wrap(record, frame, isEgress: record.isEgress) {
            packet.withUnsafeBytes { bytes in
                capture.bytes = bytes
                capture.originalByteCount =
                    originalByteCount + UInt32(bytes.count - frame.count)
                _ = session.record(capture, into: &self.bytes)
            }
            return
        }
        _ = session.record(capture, into: &bytes)
    }

    static func clockNow() -> CaptureSession.Clock {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return CaptureSession.Clock(
            monotonicNanoseconds: WorkerThread.monotonicNanoseconds(),
            wallNanoseconds: UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec))
    }
}
