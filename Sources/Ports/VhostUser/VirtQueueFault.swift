/// How a driver broke the rules of its ring (virtio 1.3 §2.7 and §2.8), so that nothing in it can be
/// relied on any more.
enum VirtQueueFault: Equatable, BitwiseCopyable {
    case misaligned
    case size(Int)
    case availableJump(Int)
    case headOutOfRange(Int)
    case nextOutOfRange(Int)
    case chainTooLong(Int)
    case indirectNotNegotiated
    case indirectInIndirect
    case indirectWithNext
    case indirectSize(Int)
    case unmapped(UInt64)
    case writeOnlyInTransmit
    case readOnlyInReceive
    case receiveBufferTooSmall(Int)
    case noControlStatus
    case inflightRegion

    /// A fragment: what the driver did.
    var sentence: String {
        switch self {
        case .misaligned: "its parts are not aligned as virtio wants them"
        case .size(let size): "it cannot have \(size) descriptors"
        case .availableJump(let count):
            "the driver made \(count) buffers available at once, more than the ring holds"
        case .headOutOfRange(let index): "there is no descriptor \(index), which it made available"
        case .nextOutOfRange(let index): "there is no descriptor \(index), which a chain goes on at"
        case .chainTooLong(let limit):
            "a chain has more than \(limit) descriptors, or comes back to itself"
        case .indirectNotNegotiated:
            "a descriptor refers to an indirect table, which was not negotiated"
        case .indirectInIndirect: "an indirect table refers to another one"
        case .indirectWithNext: "a descriptor refers to an indirect table and goes on as well"
        case .indirectSize(let byteCount): "an indirect table has \(byteCount) bytes"
        case .unmapped(let address):
            "a descriptor names guest address 0x\(String(address, radix: 16)), which is not shared"
        case .writeOnlyInTransmit: "a buffer to be transmitted has a write-only part"
        case .readOnlyInReceive: "a buffer to be received into has a read-only part"
        case .receiveBufferTooSmall(let byteCount):
            "a buffer to be received into has \(byteCount) bytes, less than a header"
        case .noControlStatus: "a control command has no room for its status"
        case .inflightRegion: "the region that tracks buffers in flight contradicts itself"
        }
    }
}
