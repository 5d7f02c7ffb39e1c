/// A piece of a borrowed frame: bytes that belong to a lender and are only ever read.
///
/// The lender may be another process that writes to them meanwhile. What they hold is payload:
/// nothing is decided by it.
package struct FrameSegment: BitwiseCopyable {
    package var bytes: UnsafeRawPointer
    package var byteCount: Int

    package init(bytes: UnsafeRawPointer, byteCount: Int) {
        self.bytes = bytes
        self.byteCount = byteCount
    }
}
