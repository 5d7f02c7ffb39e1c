import SystemPackage

/// Reads a capture file, pcapng or pcap, frame by frame, with what it says about each.
///
/// The file is untrusted. It is read in chunks; a buffer of ``initialByteCount`` grows only when it
/// is full of one block's bytes, and never beyond what ``CaptureLimits`` allows. Frames are lent to
/// a closure and nothing is allocated for one. A file that ends in the middle of a block, as that of
/// an interrupted capture does, gives its whole blocks and then a ``cutOff`` note.
///
/// One thread at a time.
package final class CaptureFileReader {
    static let initialByteCount = 1 << 20

    /// Where a file ends that ends too early.
    package struct CutOff: Equatable, Sendable, CustomStringConvertible {
        /// Of the block or record that is not whole.
        package var offset: UInt64
        package var presentByteCount: Int
        package var neededByteCount: Int

        package var description: String {
            "the file ends at byte \(offset + UInt64(presentByteCount)), within what begins at "
                + "byte \(offset) (\(presentByteCount) of at least \(neededByteCount) bytes are "
                + "there): the capture was interrupted, or is still being written; all before it "
                + "was read"
        }
    }

    package let path: String
    /// Nil for what is no regular file.
    package let fileByteCount: UInt64?
    /// Set at the end of a file that ends too early.
    package private(set) var cutOff: CutOff?
    private var decoder = CaptureFileDecoder()
    private let descriptor: FileDescriptor
    private var buffer: UnsafeMutableRawBufferPointer
    /// What of the buffer is still to be read.
    private var start = 0
    private var end = 0
    private var isAtEnd = false

    /// Opens a file and recognises its format; `-` is standard input.
    package init(path: String) throws(CaptureFileError) {
        self.path = path == "-" ? "standard input" : path
        if path == "-" {
            descriptor = .standardInput
        } else {
            do {
                descriptor = try FileDescriptor.open(
                    FilePath(path), .readOnly, options: [.closeOnExec])
            } catch {
                throw .cannotOpen(path: path, Errno(of: error))
            }
        }
        // Of a pipe there is no place; then the size is unknown.
        let size = (try? descriptor.seek(offset: 0, from: .end)) ?? 0
        if size > 0 { _ = try? descriptor.seek(offset: 0, from: .start) }
        fileByteCount = size > 0 ? UInt64(size) : nil
        buffer = .allocate(byteCount: CaptureFileReader.initialByteCount, alignment: 64)
        // All of a file that has less.
        while end < 4, !isAtEnd { try fill() }
        do {
            try decoder.recognise(UnsafeRawBufferPointer(rebasing: buffer[..<end]))
        } catch {
            throw .format(path: self.path, error)
        }
    }

    deinit {
        buffer.deallocate()
        if descriptor != .standardInput { try? descriptor.close() }
    }

    package var interfaces: [CaptureInterface] { decoder.interfaces }

    /// Lends every frame to `body`, in order, until the file ends or `body` returns false.
    ///
    /// - Parameter body: gets the frame and the interfaces known by now.
    package func forEachFrame(
        _ body: (CapturedFrame, [CaptureInterface]) -> Bool
    ) throws(CaptureFileError) {
        while true {
            let outcome: (consumed: Int, needs: Int, isStopped: Bool)
            do {
                outcome = try decoder.read(
                    UnsafeRawBufferPointer(rebasing: buffer[start..<end]), body)
            } catch {
                throw .format(path: path, error)
            }
            start += outcome.consumed
            if outcome.isStopped { return }
            guard !isAtEnd else {
                if start < end {
                    cutOff = CutOff(
                        offset: decoder.offset, presentByteCount: end - start,
                        neededByteCount: outcome.needs)
                }
                return
            }
            try makeRoom()
            try fill()
        }
    }

    /// Moves what is left to the buffer's start, and doubles the buffer when that fills it.
    private func makeRoom() throws(CaptureFileError) {
        let count = end - start
        if start > 0, count > 0, let base = buffer.baseAddress {
            base.copyMemory(from: base + start, byteCount: count)
        }
        start = 0
        end = count
        guard count == buffer.count else { return }
        // The format's reader has refused what is longer than its limits.
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: buffer.count * 2, alignment: 64)
        larger.copyMemory(from: UnsafeRawBufferPointer(buffer))
        buffer.deallocate()
        buffer = larger
    }

    private func fill() throws(CaptureFileError) {
        do {
            let count = try descriptor.read(
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[end...]))
            end += count
            if count == 0 { isAtEnd = true }
        } catch {
            throw .cannotRead(
                path: path, offset: decoder.offset + UInt64(end - start), Errno(of: error))
        }
    }
}
