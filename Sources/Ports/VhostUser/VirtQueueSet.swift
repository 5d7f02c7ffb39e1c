import CPrefetch
import Dataplane
import Wire

/// All queues of one vhost-user device, and what serving them takes: the part that runs per frame.
///
/// It knows memory and rings, no descriptors and no system calls: what is to be signalled it says to
/// its caller. One thread at a time; ``VhostUserPort`` sees to that. Nothing is allocated but when a
/// queue starts.
///
/// Queues 2i and 2i+1 are pair i: by the even one the driver receives and the switch transmits, by
/// the odd one the other way round (virtio 1.3 §5.1.2). One more may be the control queue.
struct VirtQueueSet: ~Copyable {
    /// Announcements that wait to be received at most.
    static let announcementCapacity = 8

    let pairCount: Int
    let queueCount: Int
    /// By index; those that were started are initialised.
    let queues: UnsafeMutablePointer<VirtQueue>
    /// One bit for each queue that was started.
    private(set) var started: UInt64 = 0
    /// One bit for each queue that is enabled, started or not.
    private var enabled: UInt64 = 0
    /// Index of the control queue; -1 when there is none.
    var controlIndex = -1

    /// Both are kept alive by the port, which exchanges them when no call is under way.
    var memory: Unmanaged<GuestMemory>?
    var log: Unmanaged<DirtyLog>?
    /// What went wrong first, and where, until the port has taken it.
    var fault: (queue: Int, fault: VirtQueueFault)?

    var isFaultReported = false

    /// Pairs that the driver uses, if it said so by the control queue.
    var controlledPairs: Int?
    /// What the driver takes unfinished, if it said so by the control queue.
    var controlledOffloads: UInt64?

    /// Indices of queues to receive from, those that discard included, and to transmit to.
    let receiveIndices: UnsafeMutablePointer<Int>
    private(set) var receiveCount = 0
    let transmitIndices: UnsafeMutablePointer<Int>
    private(set) var transmitCount = 0
    /// Which of the former comes first next time.
    var turn = 0

    /// Heads that were loaded ahead: those of a burst at most.
    let window: UnsafeMutablePointer<ChainHead>
    let received: UnsafeMutablePointer<ReceivedFrame>
    /// Which queue each entry goes to.
    let choices: UnsafeMutablePointer<UInt8>
    /// The buffers of a frame that needs several, and what each holds.
    let taken: UnsafeMutablePointer<ChainHead>
    let takenByteCounts: UnsafeMutablePointer<Int>
    var chain = DescriptorChain()
    let announcements: UnsafeMutablePointer<UInt64>
    var announcementCount = 0
    /// Eventfds of drivers that want to be told.
    let calls: UnsafeMutablePointer<Int32>
    /// A control command, copied.
    let command: UnsafeMutableRawPointer

    init(pairCount: Int) {
        self.pairCount = pairCount
        queueCount = 2 * pairCount + 1
        queues = .allocate(capacity: queueCount)
        receiveIndices = .allocate(capacity: queueCount)
        transmitIndices = .allocate(capacity: queueCount)
        window = .allocate(capacity: Burst.capacity)
        received = .allocate(capacity: Burst.capacity)
        choices = .allocate(capacity: Burst.capacity)
        taken = .allocate(capacity: DescriptorChain.pieceCapacity)
        takenByteCounts = .allocate(capacity: DescriptorChain.pieceCapacity)
        announcements = .allocate(capacity: VirtQueueSet.announcementCapacity)
        calls = .allocate(capacity: queueCount)
        command = .allocate(byteCount: VirtQueueSet.commandByteCount, alignment: 8)
    }

    deinit {
        for index in 0..<queueCount where started & 1 << UInt64(index) != 0 {
            queues[index].deallocate()
        }
        queues.deallocate()
        receiveIndices.deallocate()
        transmitIndices.deallocate()
        window.deallocate()
        received.deallocate()
        choices.deallocate()
        taken.deallocate()
        takenByteCounts.deallocate()
        announcements.deallocate()
        calls.deallocate()
        command.deallocate()
    }

    // MARK: Starting and stopping

    func isStarted(_ index: Int) -> Bool { started & 1 << UInt64(index) != 0 }

    /// Takes up a queue whose ring was checked and found; it replaces one of the same index.
    mutating func start(_ index: Int, _ queue: VirtQueue) {
        if isStarted(index) { _ = stop(index) }
        (queues + index).initialize(to: queue)
        started |= 1 << UInt64(index)
        chain.reserve(queue.size)
        if queue.features & VirtioFeature.controlQueue != 0,
            index == (queue.features & VirtioFeature.multiqueue != 0 ? 2 * pairCount : 2)
        {
            controlIndex = index
        }
        queues[index].disableKicks()
        refresh()
    }

    /// Ends a queue: its base.
    mutating func stop(_ index: Int) -> UInt32? {
        guard isStarted(index) else { return nil }
        let base = queues[index].base
        queues[index].deallocate()
        started &= ~(1 << UInt64(index))
        if index == controlIndex {
            controlIndex = -1
            controlledPairs = nil
        }
        if started == 0 { controlledOffloads = nil }
        refresh()
        return base
    }

    mutating func setEnabled(_ index: Int, _ isEnabled: Bool) {
        let bit: UInt64 = 1 << UInt64(index)
        enabled = isEnabled ? enabled | bit : enabled & ~bit
        refresh()
    }

    /// Stops everything because of what a driver did.
    mutating func fail(_ index: Int, _ fault: VirtQueueFault) {
        if self.fault == nil {
            self.fault = (index, fault)
            isFaultReported = false
        }
        for index in 0..<queueCount where isStarted(index) { queues[index].isRunning = false }
        refresh()
    }

    /// Whether a queue is enabled, and its pair is one that the driver uses.
    @inline(__always)
    func isInUse(_ index: Int) -> Bool {
        enabled & 1 << UInt64(index) != 0 && index / 2 < controlledPairs ?? pairCount
    }

    /// Lists the queues anew that take part.
    mutating func refresh() {
        receiveCount = 0
        transmitCount = 0
        turn = 0
        for index in 0..<queueCount
        where isStarted(index) && index != controlIndex && queues[index].isRunning {
            if index & 1 == 1 {
                receiveIndices[receiveCount] = index
                receiveCount += 1
            } else if isInUse(index) {
                transmitIndices[transmitCount] = index
                transmitCount += 1
            }
        }
    }

    /// Whether something comes by the queue of that index.
    func wantsKicks(_ index: Int) -> Bool { index & 1 == 1 || index == controlIndex }

    mutating func addAnnouncement(_ address: MACAddress) {
        guard announcementCount < VirtQueueSet.announcementCapacity else { return }
        announcements[announcementCount] = address.rawValue
        announcementCount += 1
    }

    var hasControl: Bool {
        controlIndex >= 0 && isStarted(controlIndex) && queues[controlIndex].isRunning
    }

    /// What the driver takes unfinished: what it negotiated, or changed since by the control queue.
    var offloads: OffloadSet {
        guard started != 0 else { return [] }
        let first = started.trailingZeroBitCount
        return OffloadSet(guestFeatures: controlledOffloads ?? queues[first].features)
    }

    // MARK: Kicks

    /// Asks the drivers of all queues to tell when there is something; false when there is already,
    /// or when one cannot tell.
    mutating func arm() -> Bool {
        guard announcementCount == 0 else { return false }
        var isIdle = true
        if hasControl {
            isIdle = queues[controlIndex].kick >= 0 && queues[controlIndex].enableKicks()
        }
        for place in 0..<receiveCount where isIdle {
            let queue = queues + receiveIndices[place]
            isIdle = queue.pointee.kick >= 0 && queue.pointee.enableKicks()
        }
        if !isIdle { disarm() }
        return isIdle
    }

    mutating func disarm() {
        if hasControl { queues[controlIndex].disableKicks() }
        for place in 0..<receiveCount { queues[receiveIndices[place]].disableKicks() }
    }

    // MARK: For both directions

    /// Returns what was received from: how many of ``calls`` are to be made.
    @inline(__always)
    mutating func publishReceived() -> Int {
        var count = 0
        // By what was started and not by what runs: a fault stops queues with frames under way.
        var rest = started
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            if index & 1 == 1 || index == controlIndex { publish(index, &count) }
        }
        return count
    }

    /// Returns what was transmitted to: how many of ``calls`` are to be made.
    @inline(__always)
    mutating func publishTransmitted() -> Int {
        var count = 0
        var rest = started
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest &- 1
            if index & 1 == 0, index != controlIndex { publish(index, &count) }
        }
        return count
    }

    @inline(__always)
    private mutating func publish(_ index: Int, _ count: inout Int) {
        guard queues[index].pendingCount > 0 else { return }
        if queues[index].publish(log), queues[index].call >= 0 {
            calls[count] = queues[index].call
            count &+= 1
        }
    }

    /// Finds the memory of loaded heads that are a single descriptor each, and fetches its beginning.
    @inline(__always)
    func prepare(_ count: Int, isWritable: Bool, _ memory: Unmanaged<GuestMemory>) {
        let kind = isWritable ? DescriptorFlag.write : 0
        for place in 0..<count {
            let head = window + place
            guard
                head.pointee.flags
                    & (DescriptorFlag.next | DescriptorFlag.indirect | DescriptorFlag.write)
                    == kind,
                head.pointee.slots == 1
            else { continue }
            let byteCount = Int(head.pointee.byteCount)
            guard
                let range = memory._withUnsafeGuaranteedRef({
                    $0.translate(head.pointee.address, byteCount)
                }), range.count == byteCount, let bytes = range.baseAddress
            else { continue }
            head.pointee.bytes = bytes
            if isWritable {
                heddle_prefetch_to_write(bytes)
                heddle_prefetch_to_write(bytes + 64)
            } else {
                heddle_prefetch(bytes)
                heddle_prefetch(bytes + 64)
                if byteCount > 128 {
                    heddle_prefetch(bytes + 128)
                    heddle_prefetch(bytes + 192)
                    heddle_prefetch(bytes + 256)
                }
            }
        }
    }

    /// The place of the first queue of a list from `place` on, modulo its length.
    @inline(__always)
    static func wrap(_ place: Int, _ count: Int) -> Int { place < count ? place : place - count }
}

extension OffloadSet {
    /// What a driver that negotiated these features takes unfinished; UDP super-frames count only
    /// when both IP versions do.
    init(guestFeatures features: UInt64) {
        self = []
        guard features & VirtioFeature.guestChecksum != 0 else { return }
        insert(.checksum)
        if features & VirtioFeature.guestTSO4 != 0 { insert(.tso4) }
        if features & VirtioFeature.guestTSO6 != 0 { insert(.tso6) }
        if features & VirtioFeature.guestECN != 0 { insert(.tsoECN) }
        if features & VirtioFeature.guestUSO4 != 0, features & VirtioFeature.guestUSO6 != 0 {
            insert(.uso)
        }
    }
}
