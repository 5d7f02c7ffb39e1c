import Synchronization

/// The driver's side of a packed virtqueue (virtio 1.3 §2.8).
package final class VirtioFrontEndPacked: VirtioFrontEndQueue {
    package let size: Int
    package let descriptors: UnsafeMutableRawPointer
    package let driverArea: UnsafeMutableRawPointer
    package let deviceArea: UnsafeMutableRawPointer
    package let usedAddress: UInt64
    private let memory: VirtioFrontEndMemory
    private let hasEventIndex: Bool
    private let tables: UInt64
    private let tableEntries = 64
    private var freeIDs: [UInt16]
    private var buffers: [UInt16: (token: Int, count: Int)] = [:]
    private(set) package var freeCount: Int
    private var nextAvailable = 0
    private var availableWrap = true
    /// First descriptors of buffers that were added and not published: each one's flags come last.
    private var unpublished: [(place: Int, flags: UInt16, id: UInt16, length: UInt32)] = []
    private var addedDescriptors = 0
    private var nextUsed = 0
    private var usedWrap = true

    package init(_ memory: VirtioFrontEndMemory, size: Int, hasEventIndex: Bool) {
        self.memory = memory
        self.size = size
        self.hasEventIndex = hasEventIndex
        let ring = memory.allocateInOnePiece(16 * size)
        descriptors = ring.host
        usedAddress = ring.guest
        driverArea = memory.allocateInOnePiece(4, alignment: 4).host
        deviceArea = memory.allocateInOnePiece(4, alignment: 4).host
        tables = memory.allocate(16 * tableEntries * size)
        freeIDs = (0..<UInt16(size)).reversed()
        freeCount = size
    }

    /// With nothing in flight both halves are the same.
    package var base: UInt32 {
        let word = UInt32(nextAvailable) | (availableWrap ? 0x8000 : 0)
        return word | word << 16
    }

    package func add(_ pieces: [VirtioPiece], token: Int, _ layout: VirtioLayout) -> Bool {
        let needed = layout == .chain ? pieces.count : 1
        guard needed <= freeCount, needed > 0, let id = freeIDs.popLast() else { return false }
        freeCount -= needed
        buffers[id] = (token, needed)
        if layout == .chain {
            for (position, piece) in pieces.enumerated() {
                let flags: UInt16 =
                    (position + 1 < pieces.count ? 1 : 0) | (piece.isWritable ? 2 : 0)
                put(
                    piece.address, UInt32(piece.byteCount), id: id, flags: flags,
                    isFirst: position == 0)
            }
            return true
        }
        precondition(pieces.count <= tableEntries)
        let table = tables + UInt64(16 * tableEntries * Int(id))
        for (position, piece) in pieces.enumerated() {
            let place = memory.host(table + UInt64(16 * position))
            place.storeBytes(of: piece.address, as: UInt64.self)
            place.storeBytes(of: UInt32(piece.byteCount), toByteOffset: 8, as: UInt32.self)
            // The ID is reserved there, as is every flag but one.
            place.storeBytes(of: 0xDEAD, toByteOffset: 12, as: UInt16.self)
            place.storeBytes(of: piece.isWritable ? 2 : 0, toByteOffset: 14, as: UInt16.self)
        }
        put(table, UInt32(16 * pieces.count), id: id, flags: 4, isFirst: true)
        return true
    }

    private func put(
        _ address: UInt64, _ length: UInt32, id: UInt16, flags: UInt16, isFirst: Bool
    ) {
        let place = descriptors + 16 * nextAvailable
        place.storeBytes(of: address, as: UInt64.self)
        let all = flags | (availableWrap ? 0x80 : 0x8000)
        if isFirst {
            unpublished.append((nextAvailable, all, id, length))
        } else {
            store(length, id, all, at: place, .relaxed)
        }
        addedDescriptors += 1
        nextAvailable += 1
        if nextAvailable == size {
            nextAvailable = 0
            availableWrap.toggle()
        }
    }

    private enum Order { case relaxed, releasing }

    private func store(
        _ length: UInt32, _ id: UInt16, _ flags: UInt16, at place: UnsafeMutableRawPointer,
        _ order: Order
    ) {
        place.storeBytes(of: length, toByteOffset: 8, as: UInt32.self)
        place.storeBytes(of: id, toByteOffset: 12, as: UInt16.self)
        let word = place.shared(14, UInt16.self)
        if order == .releasing {
            word.pointee.store(flags, ordering: .releasing)
        } else {
            word.pointee.store(flags, ordering: .relaxed)
        }
    }

    package func publish() -> Bool {
        guard !unpublished.isEmpty else { return false }
        let count = addedDescriptors
        for first in unpublished.reversed() {
            store(
                first.length, first.id, first.flags, at: descriptors + 16 * first.place,
                .releasing)
        }
        unpublished = []
        addedDescriptors = 0
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        switch deviceArea.shared(2, UInt16.self).pointee.load(ordering: .acquiring) & 3 {
        case 0: return true
        case 2 where hasEventIndex: break
        default: return false
        }
        // Did the descriptors of this publication include the one that the device named?
        let event = deviceArea.shared(0, UInt16.self).pointee.load(ordering: .relaxed)
        var distance = nextAvailable - Int(event & 0x7FFF)
        if (event & 0x8000 != 0) != availableWrap { distance += size }
        return distance > 0 && distance <= count
    }

    package func takeUsed() -> (token: Int, byteCount: Int)? {
        let place = descriptors + 16 * nextUsed
        let flags = place.shared(14, UInt16.self).pointee.load(ordering: .acquiring)
        guard (flags & 0x80 != 0) == usedWrap, (flags & 0x8000 != 0) == usedWrap else {
            return nil
        }
        let id = place.load(fromByteOffset: 12, as: UInt16.self)
        let byteCount = place.load(fromByteOffset: 8, as: UInt32.self)
        guard let buffer = buffers.removeValue(forKey: id) else {
            preconditionFailure("buffer \(id) was returned and is not with the device")
        }
        freeIDs.append(id)
        freeCount += buffer.count
        nextUsed += buffer.count
        if nextUsed >= size {
            nextUsed -= size
            usedWrap.toggle()
        }
        return (buffer.token, flags & 2 != 0 ? Int(byteCount) : 0)
    }

    package func enableCalls() -> Bool {
        if hasEventIndex {
            let event = UInt16(nextUsed) | (usedWrap ? 0x8000 : 0)
            driverArea.shared(0, UInt16.self).pointee.store(event, ordering: .relaxed)
            driverArea.shared(2, UInt16.self).pointee.store(2, ordering: .releasing)
        } else {
            driverArea.shared(2, UInt16.self).pointee.store(0, ordering: .relaxed)
        }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let flags = (descriptors + 16 * nextUsed).shared(14, UInt16.self).pointee
            .load(ordering: .acquiring)
        return !((flags & 0x80 != 0) == usedWrap && (flags & 0x8000 != 0) == usedWrap)
    }

    package func disableCalls() {
        driverArea.shared(2, UInt16.self).pointee.store(1, ordering: .relaxed)
    }

    package var isKickSuppressed: Bool {
        deviceArea.shared(2, UInt16.self).pointee.load(ordering: .relaxed) == 1
    }
}
