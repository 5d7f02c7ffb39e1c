/// Reads a fuzz input from its start; zeros once it has ended.
struct FuzzInput {
    private var rest: UnsafeBufferPointer<UInt8>

    init(_ data: UnsafePointer<UInt8>, _ byteCount: Int) {
        rest = UnsafeBufferPointer(start: data, count: byteCount)
    }

    var isEmpty: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 {
        guard let first = rest.first else { return 0 }
        rest = UnsafeBufferPointer(rebasing: rest.dropFirst())
        return first
    }

    mutating func word() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }

    mutating func below(_ bound: Int) -> Int { Int(byte()) % bound }

    mutating func bytes(_ count: Int) -> [UInt8] {
        let taken = rest.prefix(count)
        rest = UnsafeBufferPointer(rebasing: rest.dropFirst(count))
        return Array(taken)
    }
}
