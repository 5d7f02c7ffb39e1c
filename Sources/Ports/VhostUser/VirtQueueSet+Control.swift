import Wire

/// Commands of the control queue (virtio 1.3 §5.1.6.5), of drivers whose front-end does not serve them
/// itself, as those of user-mode Linux.
///
/// What a driver asks of filters is granted and changes nothing: the switch delivers what is for the
/// port anyhow, and a driver that gets more than it asked for must cope (§5.1.6.5.1). The number of
/// pairs and the offloads are obeyed.
extension VirtQueueSet {
    /// Bytes of a command that are looked at; tables of addresses may be longer.
    static let commandByteCount = 64
    /// Commands that are served in one call at most.
    private static let commandLimit = 16

    private enum Status {
        static let ok: UInt8 = 0
        static let error: UInt8 = 1
    }

    @inline(never)
    mutating func serveControl() {
        guard let memory else { return }
        let queue = queues + controlIndex
        if queue.pointee.isPacked {
            var ring = queue.pointee.packed
            serveControl(&ring, memory)
            queue.pointee.packed = ring
        } else {
            var ring = queue.pointee.split
            serveControl(&ring, memory)
            queue.pointee.split = ring
        }
    }

    private mutating func serveControl<Ring: VirtRing>(
        _ ring: inout Ring, _ memory: Unmanaged<GuestMemory>
    ) {
        let index = controlIndex
        for _ in 0..<VirtQueueSet.commandLimit
        where queues[index].pendingCount < ring.size {
            let count = ring.loadHeads(into: window, limit: 1)
            if count < 0, let fault = ring.fault { fail(index, fault) }
            guard count > 0 else { return }
            chain.clear()
            if let fault = append(window, of: ring, index, memory, .either) {
                return fail(index, fault)
            }
            guard let status = copyCommand() else { return fail(index, .noControlStatus) }
            let answer = obey(status.byteCount)
            status.place.bytes.storeBytes(of: answer, as: UInt8.self)
            log?.takeUnretainedValue().mark(guestAddress: status.place.guestAddress, byteCount: 1)
            ring.take(window)
            queues[index].finish(window, entry: ring.noteInflight(window), byteCount: 1)
        }
    }

    /// Copies the command's beginning; the length of all of it, and where its status goes.
    private func copyCommand() -> (byteCount: Int, place: DescriptorChain.Piece)? {
        command.initializeMemory(
            as: UInt8.self, repeating: 0, count: VirtQueueSet.commandByteCount)
        var byteCount = 0
        for place in 0..<chain.pieceCount {
            let piece = chain.pieces[place]
            if piece.isWritable { return (byteCount, piece) }
            let count = min(piece.byteCount, VirtQueueSet.commandByteCount - byteCount)
            if count > 0 { (command + byteCount).copyMemory(from: piece.bytes, byteCount: count) }
            byteCount += max(count, 0)
        }
        return nil
    }

    /// Carries out a command of `byteCount` bytes.
    private mutating func obey(_ byteCount: Int) -> UInt8 {
        guard byteCount >= 2 else { return Status.error }
        let kind = command.load(as: UInt8.self)
        let request = command.load(fromByteOffset: 1, as: UInt8.self)
        switch (kind, request) {
        // Receive modes: promiscuous and so on, one byte that says on or off.
        case (0, 0...5): return byteCount >= 3 ? Status.ok : Status.error
        // Tables of addresses: two, each with its length first; the own address.
        case (1, 0): return byteCount >= 10 ? Status.ok : Status.error
        case (1, 1): return byteCount >= 8 ? Status.ok : Status.error
        // VLAN filter: add and delete.
        case (2, 0...1): return byteCount >= 4 ? Status.ok : Status.error
        // The announcement was seen to.
        case (3, 0): return Status.ok
        case (4, 0):
            guard byteCount >= 4 else { return Status.error }
            let pairs = Int(command.word16(at: 2))
            guard pairs > 0, pairs <= pairCount else { return Status.error }
            controlledPairs = pairs
            refresh()
            return Status.ok
        case (5, 0):
            guard byteCount >= 10 else { return Status.error }
            let wanted = UInt64(
                littleEndian: command.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            // Only what was negotiated can be turned on (§5.1.6.5.6.2).
            guard wanted & ~queues[controlIndex].features == 0 else { return Status.error }
            controlledOffloads = wanted
            return Status.ok
        default: return Status.error
        }
    }
}
