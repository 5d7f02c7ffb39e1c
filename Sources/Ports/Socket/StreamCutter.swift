// Cuts a stream of bytes into the frames that it carries, as QEMU's `-netdev stream` sends them: the
// frame's length in four bytes, big endian, then the frame.
//
// Bytes come in pieces of any length, whose borders say nothing: a piece ends in the middle of a
// frame or of a length. What is not a whole frame yet stays until the rest has come, and is moved to
// the buffer's start before the next piece, so that every frame lies in one piece. It is less than
// one frame, so that there is always room.
//
// A length of 0, or one beyond the limit, cannot be skipped: nothing in the stream says where the next
// frame begins. From then on nothing is cut any more.
//
// How much to ask for next: as many bytes as a burst of frames of the length had that came last.
// Then a burst takes all there is, nothing waits in the buffer that no poll would tell of, and small
// frames stay in the processor's first cache.
//
// Pure; one thread. A frame costs the load of its length, a piece the move of what remained.

struct StreamCutter: ~Copyable {
    enum Cut {
        /// A whole frame; its bytes are valid until the next call of ``room(frames:)``.
        case frame(UnsafeRawBufferPointer)
        /// All whole frames have been cut.
        case incomplete
        /// The stream announced a frame that cannot be; for good, until ``reset()``.
        case malformed(UInt32)
    }

    static let lengthByteCount = 4
    /// Not fewer bytes than that for a frame are asked for: the smallest on a wire.
    private static let smallFrame = lengthByteCount + 60

    /// The longest frame, in bytes.
    let frameLimit: Int
    private let capacity: Int
    private let memory: UnsafeMutableRawPointer
    private var start = 0
    private var end = 0
    /// Frames cut since the last piece, and their bytes with the lengths.
    private var cutCount = 0
    private var cutByteCount = 0
    private var typicalByteCount = 2048

    /// - Precondition: `capacity` bytes hold the longest frame with its length.
    init(capacity: Int, frameLimit: Int) {
        precondition(frameLimit > 0 && capacity >= frameLimit + Self.lengthByteCount)
        self.capacity = capacity
        self.frameLimit = frameLimit
        memory = .allocate(byteCount: capacity, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// Bytes that came and are not cut yet.
    var byteCount: Int { end - start }

    /// Where the next piece goes: at least one byte, and about as many as `frames` frames have.
    ///
    /// - Precondition: ``next()`` said that what is there is incomplete.
    mutating func room(frames: Int) -> UnsafeMutableRawBufferPointer {
        precondition(!hasCut)
        if start > 0 {
            if end > start { memory.copyMemory(from: memory + start, byteCount: end - start) }
            end -= start
            start = 0
        }
        if cutCount > 0 { typicalByteCount = max(cutByteCount / cutCount, Self.smallFrame) }
        cutCount = 0
        cutByteCount = 0
        let wanted = max(frames * typicalByteCount - end, Self.smallFrame)
        return UnsafeMutableRawBufferPointer(
            start: memory + end, count: min(wanted, capacity - end))
    }

    /// Takes in the first `count` bytes of ``room(frames:)``.
    mutating func filled(_ count: Int) {
        precondition(count >= 0 && count <= capacity - end)
        end += count
    }

    /// The next whole frame.
    @inline(__always)
    mutating func next() -> Cut {
        guard let length else { return .incomplete }
        guard length > 0, length <= frameLimit else { return .malformed(length) }
        let whole = Self.lengthByteCount + Int(length)
        guard whole <= end - start else { return .incomplete }
        let frame = UnsafeRawBufferPointer(
            start: memory + start + Self.lengthByteCount, count: Int(length))
        start += whole
        cutCount += 1
        cutByteCount += whole
        return .frame(frame)
    }

    /// Whether ``next()`` has something to say: a frame, or that there can be none.
    var hasCut: Bool {
        guard let length else { return false }
        return length == 0 || length > frameLimit
            || Self.lengthByteCount + Int(length) <= end - start
    }

    /// Forgets everything: another stream begins.
    mutating func reset() {
        start = 0
        end = 0
        cutCount = 0
        cutByteCount = 0
    }

    /// What the stream says of the frame that is next, once it has come whole.
    @inline(__always)
    private var length: UInt32? {
        guard end - start >= Self.lengthByteCount else { return nil }
        return UInt32(bigEndian: (memory + start).loadUnaligned(as: UInt32.self))
    }
}
