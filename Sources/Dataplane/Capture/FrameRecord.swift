/// What the switch did with one frame at one place, beside the frame's bytes: the entry of capture
/// rings, of the flight recorder and of the drop ledger.
package struct FrameRecord: BitwiseCopyable, Sendable {
    package enum Point: UInt8, BitwiseCopyable, Sendable {
        /// The frame came in by ``FrameRecord/port``; the verdict is about all of it.
        case ingress
        /// A copy left by the port.
        case egress
        /// A frame that came in by the port ended there, or a copy that was to leave by it.
        case drop
    }

    /// Monotonic nanoseconds of the burst.
    package var time: UInt64 = 0
    /// One number for all appearances of a frame while it passes the switch; 0 for a frame of the
    /// switch's own, or one that ended before it was received into a slot.
    package var id: UInt64 = 0
    /// Bytes of the frame that follow the record.
    package var capturedByteCount: UInt32 = 0
    /// Bytes that the frame has.
    package var originalByteCount: UInt32 = 0
    package var port: UInt16
    package var point: Point
    /// Other than `.none` for a frame or a copy that ended.
    package var reason: DropReason = .none
    /// At ingress: what the forwarding function decided.
    package var action: Verdict.Action = .forward
    package var learning: Verdict.Learning = .none
    /// The bridge domain; 0 when the frame never got one.
    package var domain: UInt16 = 0
    /// The egress port of a forwarded frame, at ingress.
    package var egress: UInt16 = 0
    /// A tag that was taken from the bytes; 0 for none.
    package var tci: UInt16 = 0
    /// What was left for a receiver to finish, with positions as in the bytes.
    package var offload = Offload.none

    package init(port: UInt16, point: Point) {
        self.port = port
        self.point = point
    }

    /// What became of the frame, and between which ports, in one word: records with the same are told of
    /// in the same words.
    package var fate: UInt64 {
        let other = point == .ingress ? egress : ingress ?? .max
        return UInt64(domain) | UInt64(other) << 16 | UInt64(reason.rawValue) << 32
            | UInt64(point.rawValue) << 40 | UInt64(action.rawValue) << 48
            | UInt64(learning.rawValue) << 56
    }

    /// Whether a copy was leaving, rather than a frame coming in.
    package var isEgress: Bool { point == .egress || (point == .drop && reason.isEgress) }

    /// The port by which the frame came in; nil where the number does not say.
    package var ingress: UInt16? { id == 0 ? nil : FrameID(word: id).ingress }
}

/// The number of a frame on its way through the switch: where it came in, which worker received it,
/// and how many that worker had received before it.
struct FrameID: BitwiseCopyable {
    let word: UInt64

    init(word: UInt64) { self.word = word }

    /// The worker's index is below 64, as many as a ``Fabric`` has at most.
    init(ingress: UInt16, worker: Int, count: UInt64) {
        word = UInt64(ingress) << 48 | UInt64(worker & 63) << 42 | count & 0x3FF_FFFF_FFFF
    }

    var ingress: UInt16 { UInt16(truncatingIfNeeded: word >> 48) }
}
