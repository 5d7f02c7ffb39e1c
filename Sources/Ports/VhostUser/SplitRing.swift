import CPrefetch
import Synchronization

/// A split virtqueue, seen from the device (virtio 1.3 §2.7).
///
///     descriptor table   size × (address 8, length 4, flags 2, next 2)        driver writes
///     available ring     flags 2, index 2, size × head 2, used_event 2        driver writes
///     used ring          flags 2, index 2, size × (head 4, length 4), avail_event 2   device writes
///
/// The driver makes chains available by raising its index with a release; the device reads the index
/// with an acquire and then may read the heads and descriptors before it. Returning is the same the
/// other way round: used entries are written first, then the index is raised over all of them.
/// Between raising an index and looking whether the other side wants to be told stands a full fence
/// on both sides, so that one of the two sees what the other wrote.
struct SplitRing: VirtRing {
    static let isPacked = false

    struct Position: BitwiseCopyable {
        var nextAvailable: UInt16
        var resubmitted: Int
    }

    let size: Int
    private let mask: UInt16
    private let descriptors: UnsafeMutableRawPointer
    private let available: UnsafeMutableRawPointer
    private let used: UnsafeMutableRawPointer
    private let hasEventIndex: Bool
    private var nextAvailable: UInt16
    private var nextUsed: UInt16 = 0
    /// The used index when the driver was last asked whether it wants to be told.
    private var toldUsed: UInt16 = 0
    private var isToldValid = false
    private var inflight: SplitInflight?
    /// Chains of an earlier back-end that come before what the available ring has.
    private var resubmitted = 0
    private(set) var fault: VirtQueueFault?

    /// Touches nothing of the ring yet.
    init(_ setup: VirtQueueSetup) {
        size = Int(setup.size)
        mask = setup.size &- 1
        descriptors = setup.descriptors
        available = setup.driverArea
        used = setup.deviceArea
        hasEventIndex = setup.features & VirtioFeature.eventIndex != 0
        nextAvailable = UInt16(truncatingIfNeeded: setup.base)
    }

    /// Whether the ring can be run as it is described.
    static func check(_ setup: VirtQueueSetup) -> VirtQueueFault? {
        guard setup.size > 0, setup.size <= 32768, setup.size & (setup.size - 1) == 0 else {
            return .size(Int(setup.size))
        }
        guard UInt(bitPattern: setup.descriptors) % 16 == 0,
            UInt(bitPattern: setup.driverArea) % 2 == 0, UInt(bitPattern: setup.deviceArea) % 4 == 0
        else { return .misaligned }
        return nil
    }

    /// Finds where the ring stands.
    ///
    /// Chains are returned in the order in which they are taken, and none is kept over a stop: so
    /// the used index, which lies in the guest's memory and survives everything, says where to go on,
    /// and a front-end that lost count is put right. With a region of buffers in flight, those that
    /// were taken and not returned come first.
    mutating func start(_ inflight: UnsafeMutableRawPointer?) -> VirtQueueFault? {
        nextUsed = used.acquiredWord16(at: 2)
        nextAvailable = nextUsed
        if let inflight {
            guard var region = SplitInflight(inflight, size: size, used: nextUsed) else {
                return .inflightRegion
            }
            nextAvailable &+= UInt16(truncatingIfNeeded: region.recover())
            self.inflight = region
        }
        return nil
    }

    /// Frees what tracking took.
    mutating func stop() {
        inflight?.deallocate()
        inflight = nil
    }

    /// The base for GET_VRING_BASE. Chains that are still to be resubmitted are not counted.
    var base: UInt32 {
        let waiting = (inflight?.resubmitCount ?? 0) - resubmitted
        return UInt32(nextAvailable &- UInt16(truncatingIfNeeded: waiting))
    }

    @inline(__always)
    var position: Position {
        get { Position(nextAvailable: nextAvailable, resubmitted: resubmitted) }
        set {
            nextAvailable = newValue.nextAvailable
            resubmitted = newValue.resubmitted
        }
    }

    // MARK: Available

    @inline(__always)
    mutating func loadHeads(
        into heads: UnsafeMutablePointer<ChainHead>, limit: Int
    ) -> Int {
        if let inflight, resubmitted < inflight.resubmitCount {
            return loadResubmitted(inflight, into: heads, limit: limit)
        }
        let waiting = available.acquiredWord16(at: 2) &- nextAvailable
        guard waiting != 0 else { return 0 }
        guard Int(waiting) <= size else {
            fault = .availableJump(Int(waiting))
            return -1
        }
        let count = min(Int(waiting), limit)
        for place in 0..<count {
            let entry = (nextAvailable &+ UInt16(truncatingIfNeeded: place)) & mask
            let head = available.word16(at: 4 &+ 2 &* Int(entry))
            guard Int(head) < size else {
                fault = .headOutOfRange(Int(head))
                return -1
            }
            heads[place].id = head
            heddle_prefetch(descriptors + Int(head) &* 16)
        }
        for place in 0..<count { load(heads + place) }
        return count
    }

    @inline(__always)
    private func load(_ head: UnsafeMutablePointer<ChainHead>) {
        let id = head.pointee.id
        let descriptor = descriptors + Int(id) &* 16
        let word = descriptor.word64(at: 8)
        head.initialize(
            to: ChainHead(
                address: descriptor.word64(at: 0), byteCount: UInt32(truncatingIfNeeded: word),
                flags: UInt16(truncatingIfNeeded: word >> 32), id: id,
                next: UInt16(truncatingIfNeeded: word >> 48), slots: 1, isResubmitted: false,
                bytes: nil))
    }

    @inline(never)
    private func loadResubmitted(
        _ inflight: SplitInflight, into heads: UnsafeMutablePointer<ChainHead>, limit: Int
    ) -> Int {
        let count = min(inflight.resubmitCount - resubmitted, limit)
        for place in 0..<count {
            heads[place].id = inflight.resubmit[resubmitted + place]
            load(heads + place)
            heads[place].isResubmitted = true
        }
        return count
    }

    func loadNext(_ next: UInt16, count: Int, in head: ChainHead) -> NextDescriptor {
        guard Int(next) < size else { return .fault(.nextOutOfRange(Int(next))) }
        let descriptor = descriptors + Int(next) * 16
        let word = descriptor.word64(at: 8)
        return .descriptor(
            address: descriptor.word64(at: 0), byteCount: UInt32(truncatingIfNeeded: word),
            flags: UInt16(truncatingIfNeeded: word >> 32),
            next: UInt16(truncatingIfNeeded: word >> 48), id: head.id)
    }

    @inline(__always)
    mutating func take(_ head: UnsafePointer<ChainHead>) {
        if head.pointee.isResubmitted {
            resubmitted &+= 1
        } else {
            nextAvailable &+= 1
        }
    }

    @inline(__always)
    mutating func noteInflight(_ head: UnsafePointer<ChainHead>) -> UInt16 {
        if inflight != nil, !head.pointee.isResubmitted { inflight?.note(head.pointee.id) }
        return head.pointee.id
    }

    // MARK: Used

    @inline(__always)
    mutating func publish(_ elements: UnsafeMutablePointer<UsedElement>, count: Int) {
        for place in 0..<count {
            let entry = (nextUsed &+ UInt16(truncatingIfNeeded: place)) & mask
            used.writeUsed(elements[place], at: 4 &+ 8 &* Int(entry))
        }
        nextUsed &+= UInt16(truncatingIfNeeded: count)
        if inflight != nil {
            inflight?.link(elements, count: count)
            used.releaseWord16(nextUsed, at: 2)
            inflight?.clear(elements, count: count, used: nextUsed)
        } else {
            used.releaseWord16(nextUsed, at: 2)
        }
    }

    mutating func wantsCall() -> Bool {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard hasEventIndex else { return available.word16(at: 0) & 1 == 0 }
        let event = available.word16(at: 4 &+ 2 &* size)
        let told = toldUsed
        let isValid = isToldValid
        toldUsed = nextUsed
        isToldValid = true
        // Whether the index went over the event's since it was told last, all modulo 65536.
        return !isValid || nextUsed &- event &- 1 < nextUsed &- told
    }

    // MARK: Kicks

    mutating func enableKicks() -> Bool {
        if hasEventIndex {
            used.setWord16(nextAvailable, at: 4 &+ 8 &* size)
        } else {
            used.setWord16(0, at: 0)
        }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let isIdle =
            available.word16(at: 2) == nextAvailable
            && resubmitted == (inflight?.resubmitCount ?? 0)
        if !isIdle { disableKicks() }
        return isIdle
    }

    /// With event indices the one that was passed stays: it comes round once in 65536 chains.
    mutating func disableKicks() {
        if hasEventIndex {
            used.setWord16(nextAvailable &- 1, at: 4 &+ 8 &* size)
        } else {
            used.setWord16(1, at: 0)
        }
    }
}

extension UnsafeMutableRawPointer {
    /// Writes an entry of a used ring, which is aligned to 4 only.
    @inline(__always)
    fileprivate func writeUsed(_ element: UsedElement, at offset: Int) {
        let word = UInt64(element.id) | UInt64(element.byteCount) << 32
        storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
    }
}
