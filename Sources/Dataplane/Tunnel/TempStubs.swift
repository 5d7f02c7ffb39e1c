import Wire

struct Coalescer: ~Copyable {
    mutating func add(_ frame: UnsafeRawBufferPointer, domain: UInt16, to burst: inout Burst)
        -> Bool
    {
        guard !burst.isFull else { return false }
        burst.nextBytes.copyMemory(from: frame.baseAddress!, byteCount: frame.count)
        burst.append(byteCount: frame.count, offload: .none, domain: domain)
        return true
    }
    mutating func finish(_ burst: inout Burst) {}
}
enum TooBigReply {
    static func build(
        for frame: UnsafeRawBufferPointer, maximumPacketByteCount: Int,
        into: UnsafeMutableRawPointer
    ) -> Int? { nil }
}
struct ReplyLimiter { mutating func take(at: UInt64) -> Bool { true } }
enum MSSClamp { static func apply(to frame: inout Frame, maximumPacketByteCount: UInt32) {} }
