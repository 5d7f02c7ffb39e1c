/// One frame as a worker handed it to a capture. The bytes are borrowed for the call.
package struct CaptureRecord {
    package var portIndex: UInt16
    /// On the monotonic clock.
    package var timestampNanoseconds: UInt64
    /// The frame's length, of which `bytes` may be only the start.
    package var originalByteCount: UInt32
    /// The frame as on the wire, VLAN tag included.
    package var bytes: UnsafeRawBufferPointer
    /// One number for all appearances of one frame.
    package var packetID: UInt64?
    /// What its block says of it.
    package var remarks: PcapngRemarks

    package init(
        portIndex: UInt16, timestampNanoseconds: UInt64, originalByteCount: UInt32,
        bytes: UnsafeRawBufferPointer, packetID: UInt64? = nil, remarks: PcapngRemarks
    ) {
        self.portIndex = portIndex
        self.timestampNanoseconds = timestampNanoseconds
        self.originalByteCount = originalByteCount
        self.bytes = bytes
        self.packetID = packetID
        self.remarks = remarks
    }
}
