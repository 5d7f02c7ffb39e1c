/// The pieces of guest memory that a chain of descriptors stands for.
///
/// Theory of operation
///
/// A chain is a list of descriptors, each a range of guest addresses: linked in the ring, or in a
/// table that one descriptor refers to. The guest can change all of them at any time. So each is
/// loaded once, from the ring by the ring's own loads and from a table by one copy of the whole table
/// into memory of ours, and what was loaded is checked: that a link stays inside the ring or table,
/// that there are not more links than descriptors, that each range is shared memory of the right
/// direction. A range may run over the border of two regions that adjoin for the guest: it becomes
/// two pieces. Empty descriptors have none.
///
/// What breaks virtio's rules is a fault. A chain of more pieces than are kept is legal and of no use
/// here; ``isCut`` tells.
struct DescriptorChain: ~Copyable {
    /// A piece of memory of the guest's.
    struct Piece: BitwiseCopyable {
        var bytes: UnsafeMutableRawPointer
        var byteCount: Int
        var guestAddress: UInt64
        var isWritable: Bool
    }

    /// What the descriptors of a chain may be for.
    enum Direction {
        /// All are to be read by the device.
        case readable
        /// All are to be written.
        case writable
        case either
    }

    /// Pieces of chains that are in use together at most: a frame in the smallest buffers.
    static let pieceCapacity = 2048
    /// Descriptors of a table at most, unless the ring has more.
    static let tableCapacity = 1024

    let pieces: UnsafeMutablePointer<Piece>
    private(set) var pieceCount = 0
    /// Bytes in all descriptors, those without a piece included.
    private(set) var byteCount = 0
    private(set) var isCut = false
    private var table: UnsafeMutableRawPointer
    private var tableCapacity = DescriptorChain.tableCapacity

    init() {
        pieces = .allocate(capacity: DescriptorChain.pieceCapacity)
        table = .allocate(byteCount: tableCapacity * 16, alignment: 16)
    }

    deinit {
        pieces.deallocate()
        table.deallocate()
    }

    /// Makes room for tables of a ring of that size; not called per frame.
    mutating func reserve(_ descriptorCount: Int) {
        guard descriptorCount > tableCapacity else { return }
        table.deallocate()
        tableCapacity = descriptorCount
        table = .allocate(byteCount: tableCapacity * 16, alignment: 16)
    }

    mutating func clear() {
        pieceCount = 0
        byteCount = 0
        isCut = false
    }

    /// Adds the pieces of a chain behind those that are there. The head learns what only the whole
    /// chain tells: its ID and how much of the ring it takes up.
    ///
    /// - Returns: nil, or the fault that the chain has.
    mutating func append<Ring: VirtRing>(
        _ head: inout ChainHead, of ring: Ring, in memory: GuestMemory, _ direction: Direction,
        allowingTables: Bool
    ) -> VirtQueueFault? {
        var address = head.address
        var length = head.byteCount
        var flags = head.flags
        var next = head.next
        var count = 1
        while true {
            if flags & DescriptorFlag.indirect != 0 {
                guard allowingTables else { return .indirectNotNegotiated }
                guard flags & DescriptorFlag.next == 0 else { return .indirectWithNext }
                head.slots = UInt16(truncatingIfNeeded: count)
                return appendTable(
                    at: address, byteCount: Int(length), isSequential: Ring.isPacked,
                    limit: max(ring.size, DescriptorChain.tableCapacity), memory, direction)
            }
            if let fault = append(address, Int(length), flags, memory, direction) { return fault }
            if flags & DescriptorFlag.next == 0 { break }
            guard count < ring.size else { return .chainTooLong(ring.size) }
            switch ring.loadNext(next, count: count, in: head) {
            case .fault(let fault): return fault
            case .descriptor(let nextAddress, let nextLength, let nextFlags, let link, let id):
                (address, length, flags, next) = (nextAddress, nextLength, nextFlags, link)
                head.id = id
            }
            count += 1
        }
        head.slots = UInt16(truncatingIfNeeded: count)
        return nil
    }

    /// Adds the pieces of one range.
    private mutating func append(
        _ address: UInt64, _ length: Int, _ flags: UInt16, _ memory: GuestMemory,
        _ direction: Direction
    ) -> VirtQueueFault? {
        let isWritable = flags & DescriptorFlag.write != 0
        switch direction {
        case .readable: if isWritable { return .writeOnlyInTransmit }
        case .writable: if !isWritable { return .readOnlyInReceive }
        case .either: break
        }
        var address = address
        var remaining = length
        byteCount += length
        while remaining > 0 {
            guard let range = memory.translate(address, remaining), let start = range.baseAddress,
                !range.isEmpty
            else { return .unmapped(address) }
            if pieceCount < DescriptorChain.pieceCapacity {
                (pieces + pieceCount).initialize(
                    to: Piece(
                        bytes: start, byteCount: range.count, guestAddress: address,
                        isWritable: isWritable))
                pieceCount += 1
            } else {
                isCut = true
            }
            address &+= UInt64(range.count)
            remaining -= range.count
        }
        return nil
    }

    /// Adds the pieces of a table's descriptors.
    private mutating func appendTable(
        at address: UInt64, byteCount tableByteCount: Int, isSequential: Bool, limit: Int,
        _ memory: GuestMemory, _ direction: Direction
    ) -> VirtQueueFault? {
        let count = tableByteCount / 16
        guard tableByteCount % 16 == 0, count > 0, count <= min(limit, tableCapacity) else {
            return .indirectSize(tableByteCount)
        }
        var copied = 0
        while copied < tableByteCount {
            let start = address &+ UInt64(copied)
            guard let range = memory.translate(start, tableByteCount - copied),
                let bytes = range.baseAddress, !range.isEmpty
            else { return .unmapped(start) }
            (table + copied).copyMemory(from: bytes, byteCount: range.count)
            copied += range.count
        }
        var place = 0
        var visited = 0
        while true {
            let descriptor = table + place * 16
            let word = descriptor.word64(at: 8)
            // Split: flags and link behind the length. Packed: an unused ID, and flags.
            var flags = UInt16(truncatingIfNeeded: word >> (isSequential ? 48 : 32))
            // DPDK's driver (22.11) leaves it set for the header of what it transmits by a packed ring,
            // where nothing can be written.
            if isSequential, direction == .readable { flags = 0 }
            if flags & DescriptorFlag.indirect != 0, !isSequential { return .indirectInIndirect }
            if let fault = append(
                descriptor.word64(at: 0), Int(word & 0xFFFF_FFFF), flags, memory, direction)
            {
                return fault
            }
            visited += 1
            if isSequential {
                place += 1
                if place == count { return nil }
            } else {
                if flags & DescriptorFlag.next == 0 { return nil }
                place = Int(word >> 48)
                guard place < count else { return .nextOutOfRange(place) }
                guard visited < count else { return .chainTooLong(count) }
            }
        }
    }
}
