/// One frame as a worker handed it to a capture. The bytes are borrowed for the call.
package struct CaptureRecord {
    package var portIndex: UInt16
    package var direction: CaptureDirection
    /// On the monotonic clock.
    package var timestampNanoseconds: UInt64
    /// The frame's length, of which `bytes` may be only the start.
    package var originalByteCount: UInt32
    /// The frame as on the wire, VLAN tag included.
    package var bytes: UnsafeRawBufferPointer
    /// Why the switch dropped the frame, if it did.
    package var dropReason: String?
    package var comment: String?
    /// One number for all appearances of one frame.
    package var packetID: UInt64?
    package var verdict: PcapngVerdict?

    package init(
        portIndex: UInt16, direction: CaptureDirection, timestampNanoseconds: UInt64,
        originalByteCount: UInt32, bytes: UnsafeRawBufferPointer, dropReason: String? = nil,
        comment: String? = nil, packetID: UInt64? = nil, verdict: PcapngVerdict? = nil
    ) {
        self.portIndex = portIndex
        self.direction = direction
        self.timestampNanoseconds = timestampNanoseconds
        self.originalByteCount = originalByteCount
        self.bytes = bytes
        self.dropReason = dropReason
        self.comment = comment
        self.packetID = packetID
        self.verdict = verdict
    }

    /// What the packet block says in words: `dropped: REASON`, then the comment.
    var text: String? {
        switch (dropReason, comment) {
        case (nil, nil): nil
        case (nil, let comment?): comment
        case (let reason?, nil): "dropped: \(reason)"
        case (let reason?, let comment?): "dropped: \(reason); \(comment)"
        }
    }
}
