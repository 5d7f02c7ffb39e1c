import Synchronization

/// The driver's side of a split virtqueue (virtio 1.3 §2.7).
package final class VirtioFrontEndSplit: VirtioFrontEndQueue {
    package let size: Int
    package let descriptors: UnsafeMutableRawPointer
    package let driverArea: UnsafeMutableRawPointer
    package let deviceArea: UnsafeMutableRawPointer
    package let usedAddress: UInt64
    private let memory: VirtioFrontEndMemory
    private let hasEventIndex: Bool
    private let tables: UInt64
    private let tableEntries = 64
    private var free: [UInt16]
    private var chains: [UInt16: (token: Int, descriptors: [UInt16])] = [:]
    private var nextAvailable: UInt16
    private var published: UInt16
    private var nextUsed: UInt16

    /// - Parameter start: both indices, as after so many buffers.
    package init(
        _ memory: VirtioFrontEndMemory, size: Int, hasEventIndex: Bool, startingAt start: UInt16 = 0
    ) {
        self.memory = memory
        self.size = size
        self.hasEventIndex = hasEventIndex
        descriptors = memory.allocateInOnePiece(16 * size).host
        driverArea = memory.allocateInOnePiece(6 + 2 * size, alignment: 2).host
        let used = memory.allocateInOnePiece(6 + 8 * size, alignment: 4)
        deviceArea = used.host
        usedAddress = used.guest
        tables = memory.allocate(16 * tableEntries * size)
        free = (0..<UInt16(size)).reversed()
        nextAvailable = start
        published = start
        nextUsed = start
        driverArea.shared(2, UInt16.self).pointee.store(start, ordering: .relaxed)
        deviceArea.shared(2, UInt16.self).pointee.store(start, ordering: .relaxed)
    }

    package var freeCount: Int { free.count }
    package var base: UInt32 { UInt32(published) }

    package func add(_ pieces: [VirtioPiece], token: Int, _ layout: VirtioLayout) -> Bool {
        let direct: Int
        switch layout {
        case .chain: direct = pieces.count
        case .table: direct = 0
        case .mixed: direct = min(1, pieces.count - 1)
        }
        let hasTable = direct < pieces.count
        let needed = direct + (hasTable ? 1 : 0)
        guard needed <= free.count, needed > 0 else { return false }
        let own = (0..<needed).map { _ in free.removeLast() }
        for place in 0..<direct {
            let isLast = place == needed - 1
            write(
                pieces[place], at: descriptors + 16 * Int(own[place]),
                next: isLast ? nil : own[place + 1])
        }
        if hasTable {
            let rest = pieces[direct...]
            precondition(rest.count <= tableEntries)
            let table = tables + UInt64(16 * tableEntries * Int(own[needed - 1]))
            // Linked backwards, as nothing says that it has to be in order; the first is the first.
            let places = [0] + (1..<max(rest.count, 1)).reversed()
            for (position, piece) in rest.enumerated() {
                let next = position + 1 < rest.count ? UInt16(places[position + 1]) : nil
                write(piece, at: memory.host(table + UInt64(16 * places[position])), next: next)
            }
            let reference = descriptors + 16 * Int(own[needed - 1])
            reference.storeBytes(of: table, as: UInt64.self)
            reference.storeBytes(of: UInt32(16 * rest.count), toByteOffset: 8, as: UInt32.self)
            reference.storeBytes(of: 4, toByteOffset: 12, as: UInt16.self)
        }
        chains[own[0]] = (token, own)
        driverArea.shared(4 + 2 * (Int(nextAvailable) % size), UInt16.self).pointee
            .store(own[0], ordering: .relaxed)
        nextAvailable &+= 1
        return true
    }

    private func write(_ piece: VirtioPiece, at place: UnsafeMutableRawPointer, next: UInt16?) {
        place.storeBytes(of: piece.address, as: UInt64.self)
        place.storeBytes(of: UInt32(piece.byteCount), toByteOffset: 8, as: UInt32.self)
        place.storeBytes(
            of: (next == nil ? 0 : 1) | (piece.isWritable ? 2 : 0), toByteOffset: 12,
            as: UInt16.self)
        place.storeBytes(of: next ?? 0, toByteOffset: 14, as: UInt16.self)
    }

    package func publish() -> Bool {
        let old = published
        guard nextAvailable != old else { return false }
        driverArea.shared(2, UInt16.self).pointee.store(nextAvailable, ordering: .releasing)
        published = nextAvailable
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard hasEventIndex else {
            return deviceArea.shared(0, UInt16.self).pointee.load(ordering: .relaxed) & 1 == 0
        }
        let event = deviceArea.shared(4 + 8 * size, UInt16.self).pointee.load(ordering: .relaxed)
        return published &- event &- 1 < published &- old
    }

    package func takeUsed() -> (token: Int, byteCount: Int)? {
        let index = deviceArea.shared(2, UInt16.self).pointee.load(ordering: .acquiring)
        guard index != nextUsed else { return nil }
        precondition(index &- nextUsed <= UInt16(clamping: size), "more were used than there are")
        let entry = deviceArea + 4 + 8 * (Int(nextUsed) % size)
        let head = entry.load(as: UInt32.self)
        let byteCount = entry.load(fromByteOffset: 4, as: UInt32.self)
        guard let chain = chains.removeValue(forKey: UInt16(head)) else {
            preconditionFailure("descriptor \(head) was returned and is not with the device")
        }
        free += chain.descriptors
        nextUsed &+= 1
        return (chain.token, Int(byteCount))
    }

    package func enableCalls() -> Bool {
        if hasEventIndex {
            driverArea.shared(4 + 2 * size, UInt16.self).pointee.store(nextUsed, ordering: .relaxed)
        } else {
            driverArea.shared(0, UInt16.self).pointee.store(0, ordering: .relaxed)
        }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        return deviceArea.shared(2, UInt16.self).pointee.load(ordering: .acquiring) == nextUsed
    }

    package func disableCalls() {
        if hasEventIndex {
            driverArea.shared(4 + 2 * size, UInt16.self).pointee
                .store(nextUsed &- 1, ordering: .relaxed)
        } else {
            driverArea.shared(0, UInt16.self).pointee.store(1, ordering: .relaxed)
        }
    }

    package var isKickSuppressed: Bool {
        if hasEventIndex {
            let event = deviceArea.shared(4 + 8 * size, UInt16.self).pointee.load(
                ordering: .relaxed)
            return event != published
        }
        return deviceArea.shared(0, UInt16.self).pointee.load(ordering: .relaxed) & 1 != 0
    }
}
