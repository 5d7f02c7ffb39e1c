import CPrefetch
import Synchronization

/// A packed virtqueue, seen from the device (virtio 1.3 §2.8).
///
///     descriptor ring            size × (address 8, length 4, id 2, flags 2)   both write
///     driver event suppression   offset and wrap 2, flags 2                    driver writes
///     device event suppression   offset and wrap 2, flags 2                    device writes
///
/// Both sides go round the one ring. A descriptor is available when its AVAIL flag is the device's
/// wrap counter and its USED flag is not; it is used when both are. Length, ID and flags lie in one
/// word of eight bytes, so that one load with an acquire tells whether a descriptor is available and
/// what it holds, and one store returns it. Of chains that are returned together, the first one's
/// word is stored last and with a release: the driver looks there, and finds all or none.
struct PackedRing: VirtRing {
    static let isPacked = true

    struct Position: BitwiseCopyable {
        var available: Cursor
        var resubmitted: Int
    }

    /// A place in the ring and the wrap counter that goes with it.
    struct Cursor: BitwiseCopyable, Equatable {
        var place: Int
        var wrap: Bool

        /// As in SET_VRING_BASE and in event suppression: place and wrap counter in 16 bits.
        init(_ word: UInt16) {
            place = Int(word & 0x7FFF)
            wrap = word & 0x8000 != 0
        }

        var word: UInt16 { UInt16(truncatingIfNeeded: place) | (wrap ? 0x8000 : 0) }

        @inline(__always)
        mutating func advance(_ count: Int, size: Int) {
            place &+= count
            if place >= size {
                place &-= size
                wrap.toggle()
            }
        }

        @inline(__always)
        func isAvailable(_ flags: UInt16) -> Bool {
            (flags & DescriptorFlag.available != 0) == wrap
                && (flags & DescriptorFlag.used != 0) != wrap
        }

        /// The flags of a descriptor that is returned here.
        @inline(__always)
        var usedFlags: UInt16 { wrap ? DescriptorFlag.available | DescriptorFlag.used : 0 }
    }

    /// Values of event suppression's flags (§2.8.10).
    private enum Event {
        static let enable: UInt16 = 0
        static let disable: UInt16 = 1
        static let descriptor: UInt16 = 2
    }

    let size: Int
    private let descriptors: UnsafeMutableRawPointer
    private let driverEvent: UnsafeMutableRawPointer
    private let deviceEvent: UnsafeMutableRawPointer
    private let hasEventIndex: Bool
    private var available: Cursor
    private var used: Cursor
    /// Where used stood when the driver was last asked whether it wants to be told.
    private var toldUsed: UInt16 = 0
    private var isToldValid = false
    private var inflight: PackedInflight?
    private var resubmitted = 0
    private(set) var fault: VirtQueueFault?

    /// Touches nothing of the ring yet.
    init(_ setup: VirtQueueSetup) {
        size = Int(setup.size)
        descriptors = setup.descriptors
        driverEvent = setup.driverArea
        deviceEvent = setup.deviceArea
        hasEventIndex = setup.features & VirtioFeature.eventIndex != 0
        // Chains are returned in the order in which they are taken, and none is kept over a stop: so
        // where the used ones end is where to go on. Front-ends that know of one place only leave
        // the upper half empty.
        let lower = UInt16(truncatingIfNeeded: setup.base)
        let upper = UInt16(truncatingIfNeeded: setup.base >> 16)
        used = Cursor(upper == 0 ? lower : upper)
        available = used
    }

    /// Whether the ring can be run as it is described.
    static func check(_ setup: VirtQueueSetup) -> VirtQueueFault? {
        guard setup.size > 0, setup.size <= 32768 else { return .size(Int(setup.size)) }
        guard UInt(bitPattern: setup.descriptors) % 16 == 0,
            UInt(bitPattern: setup.driverArea) % 4 == 0, UInt(bitPattern: setup.deviceArea) % 4 == 0
        else { return .misaligned }
        return nil
    }

    /// Finds where the ring stands: where the base says, or where the region of buffers in flight
    /// does if an earlier back-end has left one.
    mutating func start(_ inflight: UnsafeMutableRawPointer?) -> VirtQueueFault? {
        guard used.place < size else { return .headOutOfRange(used.place) }
        guard let inflight else { return nil }
        guard
            var region = PackedInflight(
                inflight, size: size, used: used, descriptors: descriptors)
        else { return .inflightRegion }
        used = region.used
        available = used
        guard region.recover() else {
            region.deallocate()
            return .inflightRegion
        }
        available.advance(region.resubmitSlots, size: size)
        self.inflight = region
        return nil
    }

    /// Frees what tracking took.
    mutating func stop() {
        inflight?.deallocate()
        inflight = nil
    }

    /// The base for GET_VRING_BASE. Chains that are still to be resubmitted are not counted.
    var base: UInt32 {
        let next = resubmitted < (inflight?.resubmitCount ?? 0) ? used : available
        return UInt32(next.word) | UInt32(used.word) << 16
    }

    @inline(__always)
    var position: Position {
        get { Position(available: available, resubmitted: resubmitted) }
        set {
            available = newValue.available
            resubmitted = newValue.resubmitted
        }
    }

    // MARK: Available

    @inline(__always)
    mutating func loadHeads(
        into heads: UnsafeMutablePointer<ChainHead>, limit: Int
    ) -> Int {
        if let inflight, resubmitted < inflight.resubmitCount {
            heads.initialize(to: inflight.head(resubmitted))
            return 1
        }
        var cursor = available
        var count = 0
        while count < limit {
            let descriptor = descriptors + cursor.place &* 16
            let word = descriptor.acquiredWord64(at: 8)
            let flags = UInt16(truncatingIfNeeded: word >> 48)
            guard cursor.isAvailable(flags) else { break }
            // It will be returned in the same line.
            heddle_prefetch_to_write(descriptor)
            (heads + count).initialize(
                to: ChainHead(
                    address: descriptor.word64(at: 0), byteCount: UInt32(truncatingIfNeeded: word),
                    flags: flags, id: UInt16(truncatingIfNeeded: word >> 32),
                    next: UInt16(truncatingIfNeeded: cursor.place), slots: 1, isResubmitted: false,
                    bytes: nil))
            count &+= 1
            // Where the one after a chain begins is known when the chain has been read.
            if flags & DescriptorFlag.next != 0 { break }
            cursor.advance(1, size: size)
            // A whole ring was looked at: the next would be the first again.
            if cursor.place == available.place { break }
        }
        return count
    }

    func loadNext(_ next: UInt16, count: Int, in head: ChainHead) -> NextDescriptor {
        if head.isResubmitted {
            guard let inflight else { return .fault(.inflightRegion) }
            return inflight.descriptor(after: next)
        }
        var place = Int(next) + 1
        if place >= size { place = 0 }
        let descriptor = descriptors + place * 16
        let word = descriptor.word64(at: 8)
        return .descriptor(
            address: descriptor.word64(at: 0), byteCount: UInt32(truncatingIfNeeded: word),
            flags: UInt16(truncatingIfNeeded: word >> 48),
            next: UInt16(truncatingIfNeeded: place), id: UInt16(truncatingIfNeeded: word >> 32))
    }

    @inline(__always)
    mutating func take(_ head: UnsafePointer<ChainHead>) {
        if head.pointee.isResubmitted {
            resubmitted &+= 1
        } else {
            available.advance(Int(head.pointee.slots), size: size)
        }
    }

    @inline(__always)
    mutating func noteInflight(_ head: UnsafePointer<ChainHead>) -> UInt16 {
        guard inflight != nil else { return 0 }
        if head.pointee.isResubmitted { return head.pointee.next }
        guard let entry = inflight?.note(head.pointee, in: descriptors) else {
            fault = .inflightRegion
            return 0
        }
        return entry
    }

    // MARK: Used

    @inline(__always)
    mutating func publish(_ elements: UnsafeMutablePointer<UsedElement>, count: Int) {
        guard count > 0 else { return }
        let first = used
        let firstWord = word(elements[0])
        used.advance(Int(elements[0].slots), size: size)
        for place in 1..<max(count, 1) {
            (descriptors + used.place &* 16).setWord64(word(elements[place]), at: 8)
            used.advance(Int(elements[place].slots), size: size)
        }
        if inflight != nil { inflight?.link(elements, count: count, used: used) }
        (descriptors + first.place &* 16).releaseWord64(firstWord, at: 8)
        if inflight != nil { inflight?.clear(elements, count: count) }
    }

    /// What returns a chain at the used cursor.
    @inline(__always)
    private func word(_ element: UsedElement) -> UInt64 {
        let write = element.byteCount == 0 ? 0 : DescriptorFlag.write
        return UInt64(element.byteCount) | UInt64(element.id) << 32
            | UInt64(used.usedFlags | write) << 48
    }

    mutating func wantsCall() -> Bool {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let told = toldUsed
        let isValid = isToldValid
        toldUsed = UInt16(truncatingIfNeeded: used.place)
        isToldValid = true
        switch driverEvent.acquiredWord16(at: 2) & 3 {
        case Event.enable: return true
        case Event.descriptor where hasEventIndex: break
        // The remaining value is reserved.
        case Event.descriptor: return true
        default: return false
        }
        let wanted = Cursor(driverEvent.word16(at: 0))
        // On one line: what lies behind the wrap counts from below zero.
        let now = used.place
        var before = Int(told)
        if now <= before { before -= size }
        let event = wanted.place - (wanted.wrap == used.wrap ? 0 : size)
        return !isValid || (event >= before && event < now)
    }

    // MARK: Kicks

    mutating func enableKicks() -> Bool {
        if hasEventIndex {
            deviceEvent.setWord16(available.word, at: 0)
            deviceEvent.releaseWord16(Event.descriptor, at: 2)
        } else {
            deviceEvent.setWord16(Event.enable, at: 2)
        }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let flags = UInt16(
            truncatingIfNeeded: (descriptors + available.place * 16).word64(at: 8) >> 48)
        let isIdle =
            !available.isAvailable(flags) && resubmitted == (inflight?.resubmitCount ?? 0)
        if !isIdle { disableKicks() }
        return isIdle
    }

    mutating func disableKicks() {
        deviceEvent.setWord16(Event.disable, at: 2)
    }
}
