/// Scratch memory for the segments of one super-frame that is cut in software: used and reused
/// between two transmit calls.
struct SegmentBuffer: ~Copyable {
    /// Room for a full 64 KiB super-frame's segments with their repeated headers, several times.
    static let byteCount = 256 * 1024

    private let memory: UnsafeMutableRawPointer
    private var used = 0

    init() { memory = .allocate(byteCount: SegmentBuffer.byteCount, alignment: 64) }
    deinit { memory.deallocate() }

    mutating func reset() { used = 0 }

    /// Room for a segment of up to `byteCount` bytes with a tag and a vnet header before it; nil
    /// when the buffer is full until the next ``reset()``.
    mutating func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        let start = used + TagHead.stride
        guard start + byteCount <= SegmentBuffer.byteCount else { return nil }
        used = (start + byteCount + 63) & ~63
        return memory + start
    }
}
