/// Reads numbers of the machine's byte order from the start of bytes whose size was checked; zeros
/// once they have ended.
struct PayloadReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func half() -> UInt16 { number(UInt16.self) }
    mutating func word() -> UInt32 { number(UInt32.self) }
    mutating func long() -> UInt64 { number(UInt64.self) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        let taken = bytes[min(position, bytes.count)..<min(position + count, bytes.count)]
        position += count
        return taken + [UInt8](repeating: 0, count: count - taken.count)
    }

    mutating func region() -> VhostMemoryRegion {
        VhostMemoryRegion(
            guestAddress: long(), regionByteCount: long(), frontEndAddress: long(), offset: long())
    }

    private mutating func number<Value: FixedWidthInteger>(_: Value.Type) -> Value {
        let byteCount = MemoryLayout<Value>.size
        guard bytes.count - position >= byteCount else {
            position = bytes.count
            return 0
        }
        defer { position += byteCount }
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: Value.self) }
    }
}
