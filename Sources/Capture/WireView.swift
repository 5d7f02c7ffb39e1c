import Dataplane

// A frame as a wire would carry it, from a frame as it passed the switch.
//
// Between guests and the switch frames are unfinished: a checksum is left to whoever can, 64 KiB are
// left uncut. A capture shows them so ("as seen"), and Wireshark then marks checksums as bad and
// packets as too long. The wire view finishes them, in the same way as an egress that could not take
// them would: `Offload` and `Segmenter` do the work.
//
// A frame of which the capture holds only the beginning cannot be finished, and is shown as seen.

/// Finishes frames for a capture.
package struct WireView {
    /// Why a frame is as it was.
    package enum Outcome: Equatable, Sendable {
        /// It came in these many pieces.
        case frames(Int)
        case cutShort
        case invalid(OffloadFault)
    }

    private var segment: [UInt8] = []

    package init() {}

    /// Calls `body` with each frame that a wire would see.
    ///
    /// - Parameters:
    ///   - bytes: the frame, tag included, with `offload` as positions in it.
    ///   - isWhole: whether these are all of its bytes.
    package mutating func forEachFrame(
        of bytes: UnsafeRawBufferPointer, offload: Offload, isWhole: Bool,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Outcome {
        guard offload.isPending else {
            body(bytes)
            return .frames(1)
        }
        guard isWhole else {
            body(bytes)
            return .cutShort
        }
        switch offload.check(bytes) {
        case .plain:
            body(bytes)
            return .frames(1)
        case .invalid(let fault):
            body(bytes)
            return .invalid(fault)
        case .checksumOnly:
            segment.removeAll(keepingCapacity: true)
            segment.append(contentsOf: bytes)
            var offload = offload
            segment.withUnsafeMutableBytes { copy in
                _ = offload.completeChecksum(in: copy)
                body(UnsafeRawBufferPointer(copy))
            }
            return .frames(1)
        case .gso(let geometry):
            guard var segmenter = Segmenter(frame: bytes, offload: offload) else {
                body(bytes)
                return .frames(1)
            }
            let limit = geometry.maximumSegmentByteCount
            if segment.count < limit {
                segment = [UInt8](repeating: 0, count: limit)
            }
            var count = 0
            segment.withUnsafeMutableBytes { room in
                while let byteCount = segmenter.next(into: room) {
                    count += 1
                    body(UnsafeRawBufferPointer(rebasing: room[..<byteCount]))
                }
            }
            return .frames(count)
        }
    }
}
