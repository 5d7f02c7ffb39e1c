/// A frame that a port has written into an empty slot of a burst, its vnet header right before it.
package struct ReceivedFrame: BitwiseCopyable {
    /// The frame's length, all pieces included.
    package var byteCount: Int
    /// Bytes in the slot.
    package var headByteCount: Int
    /// Pieces that hold the others.
    package var segmentCount: Int

    package init(byteCount: Int, headByteCount: Int, segmentCount: Int) {
        self.byteCount = byteCount
        self.headByteCount = headByteCount
        self.segmentCount = segmentCount
    }
}
