/// One frame of a capture file. Its bytes and its comment are borrowed: they are gone when the next
/// frame is read.
package struct CapturedFrame {
    /// Its place among the file's frames, from 1, as Wireshark numbers them.
    package var number: UInt64
    /// The interface's place in the reader's list.
    package var interface: Int
    /// Nil when the file does not say.
    package var direction: CaptureDirection?
    /// Since 1970-01-01 00:00 UTC; nil for a block that has no stamp.
    package var timestampNanoseconds: UInt64?
    /// The frame's length, of which `bytes` may be only the start.
    package var originalByteCount: UInt32
    package var bytes: UnsafeRawBufferPointer
    /// Blocks with one packet ID are one frame seen at several interfaces.
    package var packetID: UInt64?
    /// The first comment's text; empty when there is none.
    package var commentBytes: UnsafeRawBufferPointer
    /// Where its block begins in the file.
    package var offset: UInt64

    /// The first comment; what is not UTF-8 in it is replaced.
    package var comment: String? {
        commentBytes.isEmpty ? nil : String(decoding: commentBytes, as: UTF8.self)
    }
}

/// What reading on in a file's bytes came to.
package enum CaptureStep {
    /// A frame, in the first so many bytes.
    case frame(CapturedFrame, byteCount: Int)
    /// So many bytes that hold no frame.
    case skipped(byteCount: Int)
    /// What comes next ends only so many bytes from here.
    case needs(byteCount: Int)
}

/// Numbers in the byte order of a file.
struct CaptureNumbers {
    var isSwapped: Bool

    @inline(__always)
    func load<Value: FixedWidthInteger>(
        _ bytes: UnsafeRawPointer, _ offset: Int, as type: Value.Type
    ) -> Value {
        let value = bytes.loadUnaligned(fromByteOffset: offset, as: Value.self)
        return isSwapped ? value.byteSwapped : value
    }
}
