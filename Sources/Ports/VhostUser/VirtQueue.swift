/// One queue of a device: its ring, split or packed, and what was negotiated for it.
///
/// A queue that runs belongs to the port's worker; starting and stopping it is the session's, under
/// the port's lock.
struct VirtQueue: BitwiseCopyable {
    var split: SplitRing
    var packed: PackedRing
    let isPacked: Bool
    let size: Int
    /// Bytes of the vnet header: 12, or 10 for a legacy driver without mergeable buffers
    /// (virtio 1.3 §5.1.6.1).
    let headerByteCount: Int
    /// Whether a received frame may lie in several buffers.
    let isMergeable: Bool
    let allowsTables: Bool
    let features: UInt64
    var kick: Int32
    var call: Int32
    let err: Int32
    let usedLogAddress: UInt64?
    /// False after a fault, until the queue is started anew.
    var isRunning = true
    /// Chains that are done with, in order: as many as the ring has at most.
    let pending: UnsafeMutablePointer<UsedElement>
    var pendingCount = 0

    /// Touches nothing of the ring yet.
    init(_ setup: VirtQueueSetup) {
        split = SplitRing(setup)
        packed = PackedRing(setup)
        isPacked = setup.isPacked
        size = Int(setup.size)
        features = setup.features
        isMergeable = features & VirtioFeature.mergeableBuffers != 0
        headerByteCount = isMergeable || features & VirtioFeature.version1 != 0 ? 12 : 10
        allowsTables = features & VirtioFeature.indirectDescriptors != 0
        kick = setup.kick
        call = setup.call
        err = setup.err
        usedLogAddress = setup.usedLogAddress
        pending = .allocate(capacity: max(size, 1))
    }

    /// Whether the ring can be run as it is described.
    static func check(_ setup: VirtQueueSetup) -> VirtQueueFault? {
        setup.isPacked ? PackedRing.check(setup) : SplitRing.check(setup)
    }

    /// Finds where the ring stands.
    mutating func start(_ inflight: UnsafeMutableRawPointer?) -> VirtQueueFault? {
        isPacked ? packed.start(inflight) : split.start(inflight)
    }

    func deallocate() {
        var copy = self
        copy.split.stop()
        copy.packed.stop()
        pending.deallocate()
    }

    var base: UInt32 { isPacked ? packed.base : split.base }

    /// A chain is done with: it goes back with the next publication.
    @inline(__always)
    mutating func finish(_ head: UnsafePointer<ChainHead>, entry: UInt16, byteCount: Int) {
        (pending + pendingCount).initialize(
            to: UsedElement(
                id: head.pointee.id, slots: head.pointee.slots, entry: entry,
                byteCount: UInt32(truncatingIfNeeded: byteCount)))
        pendingCount &+= 1
    }

    /// Returns what is done with; true when the driver wants to be told.
    @inline(__always)
    mutating func publish(_ log: Unmanaged<DirtyLog>?) -> Bool {
        guard pendingCount > 0 else { return false }
        let count = pendingCount
        pendingCount = 0
        if isPacked {
            packed.publish(pending, count: count)
        } else {
            split.publish(pending, count: count)
        }
        // After the write: the log's reader takes a mark and copies the page then.
        if let log { log._withUnsafeGuaranteedRef { mark($0) } }
        return isPacked ? packed.wantsCall() : split.wantsCall()
    }

    mutating func enableKicks() -> Bool {
        isPacked ? packed.enableKicks() : split.enableKicks()
    }

    mutating func disableKicks() {
        if isPacked { packed.disableKicks() } else { split.disableKicks() }
    }

    /// Marks what returning chains writes: all of the ring, which is a page or two.
    @inline(never)
    private func mark(_ log: DirtyLog) {
        guard let usedLogAddress else { return }
        log.mark(
            guestAddress: usedLogAddress, byteCount: isPacked ? 16 * size : 6 + 8 * size)
    }
}
