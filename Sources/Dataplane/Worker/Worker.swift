import Synchronization
import Wire

/// The loop body of one forwarding thread.
///
/// Theory of operation
///
/// A worker owns a set of ports: it alone receives from them and transmits to them. The thread that
/// runs it waits for ports to become readable and then, per round:
///
///     beginRound   pick up a new snapshot, recycle slots, serve the FDB's owner duties
///     serve(port)  receive one burst, decide every frame, deliver, transmit per egress port
///     endRound     frames handed over by other workers
///
/// Deciding a burst sorts its copies by egress port into chains, in order of arrival, so that a flow
/// keeps its order; then each port with a chain gets one `transmit`. A copy for a port of another
/// worker is handed over: a unicast frame with its slot, a flooded one as a copy.
///
/// What is called for a frame is `mutating`, whether it changes the worker or not: to lend a worker
/// that is being changed to a method that only reads, the compiler copies all of it first, some 600
/// bytes per call.
///
/// Everything the loop touches is allocated in `init`. Per burst it costs one clock reading (the
/// caller's), one receive, and one transmit per egress port.
package struct Worker: ~Copyable {
    static let slotCapacityWithPeers = 512
    /// Copies that can wait in chains at once; a flood beyond it transmits what has gathered.
    static let referenceCapacity = 4096

    /// One copy waiting for its egress port.
    struct Reference {
        /// The next copy's place, -1 after the last. First, as in ``Chain``: `Chain.tail` points
        /// to the one or the other.
        var next: Int32
        var vid: UInt16
        var domain: UInt16
        var frame: UnsafeMutablePointer<Frame>
    }

    /// The copies waiting for one port.
    struct Chain {
        /// The first copy's place; -1 when there is none.
        var head: Int32
        /// Where the next copy's place is to be written: `head`, or the last copy's `next`.
        var tail: UnsafeMutablePointer<Int32>
    }

    /// What one domain's frames come to, gathered before it is added to the domain's counters.
    struct Tally {
        var frames: UInt64 = 0
        var bytes: UInt64 = 0
        var segments: UInt64 = 0
        /// Received ones that were forwarded.
        var forwarded: UInt64 = 0
    }

    let fabric: Fabric
    let link: WorkerLink
    let index: Int
    let ownsFDB: Bool
    /// Whether there are other workers.
    let hasPeers: Bool
    let counters: Counters
    package private(set) var snapshot: Snapshot

    var pool: FramePool
    var burst: Burst
    var segments: SegmentBuffer
    /// The burst between the two passes of ``forward(ingress:)``.
    let classified: UnsafeMutablePointer<Forwarding.Classified>
    let references: UnsafeMutablePointer<Reference>
    var referenceCount = 0
    let chains: UnsafeMutablePointer<Chain>
    let activePorts: UnsafeMutablePointer<UInt16>
    var activeCount = 0
    let entries: UnsafeMutablePointer<TransmitEntry>
    let entryInfo: UnsafeMutablePointer<EntryInfo>
    let tagHeads: UnsafeMutableRawPointer
    /// Datagrams of the underlay that is being served, and what makes frames of them.
    var batch: DatagramBatch
    var coalescer: Coalescer
    /// Messages to underlays, and the flows of the chain that they are made of.
    var writer: MessageWriter
    let tunnelFlows: UnsafeMutablePointer<UInt8>
    /// Answers to packets that are too big for a tunnel.
    let replies: ReplyFrames
    var replyCount = 0
    /// The frame that was answered last; -1 for none of this burst.
    var answeredPlace = -1
    /// By the port that is answered, so that no tenant uses up another's answers.
    let replyLimiters: UnsafeMutablePointer<ReplyLimiter>
    /// By the port that announces, so that no tenant hides what another's hosts say.
    let announcementLimiters: UnsafeMutablePointer<ReplyLimiter>
    let foreignFrames: UnsafeMutablePointer<Frame>
    let foreignSlots: UnsafeMutablePointer<UnsafeMutableRawPointer>
    let foreignIDs: UnsafeMutablePointer<UInt64>
    /// Of the burst's first frame; each is one more than the one before it.
    var burstID: UInt64 = 0
    var frameCount: UInt64 = 0
    /// Places of the burst below this are noted when they have been decided.
    var noteCount = 0
    /// Those below this one in the flight recorder.
    var recordCount = 0
    /// This worker's ring of the snapshot's recorder.
    var flight: FlightRing?
    /// By capture and place: records that wait for their verdict.
    let pendingRecords: UnsafeMutablePointer<UnsafeMutablePointer<FrameRecord>?>
    var isCapturePending = false
    /// Where a filter sees a frame in one piece that lies in several.
    let filterRoom: UnsafeMutableRawPointer
    /// Workers that got a handover in this round and must be woken.
    var peersToWake: UInt64 = 0
    /// Frames that the last ``serve(port:)`` received.
    package internal(set) var receivedCount = 0
    /// Monotonic nanoseconds of the burst.
    var time: UInt64 = 0
    var tick: UInt32 = 0
    var command: FDBCommand?
    var flushRemoved = 0

    package init(fabric: Fabric, index: Int) {
        self.fabric = fabric
        link = fabric.links[index]
        self.index = index
        ownsFDB = index == 0
        hasPeers = fabric.links.count > 1
        counters = link.counters
        snapshot = fabric.cell.load()
        pool = FramePool(
            capacity: fabric.links.count > 1 ? Worker.slotCapacityWithPeers : Burst.capacity)
        burst = Burst()
        burst.refill(from: &pool)
        segments = SegmentBuffer()
        classified = .allocate(capacity: Burst.capacity)
        // How many copies a burst makes is up to its frames: a flood larger than any before must not
        // be the first to touch its memory.
        references = .allocate(capacity: Worker.referenceCapacity)
        UnsafeMutableRawPointer(references).initializeMemory(
            as: UInt8.self, repeating: 0,
            count: Worker.referenceCapacity * MemoryLayout<Reference>.stride)
        chains = .allocate(capacity: fabric.portCapacity)
        for port in 0..<fabric.portCapacity { Worker.makeEmpty(chains + port) }
        // One place more than there are ports: ``chain`` writes before it knows.
        activePorts = .allocate(capacity: fabric.portCapacity + 1)
        entries = .allocate(capacity: Burst.capacity)
        entryInfo = .allocate(capacity: Burst.capacity)
        tagHeads = .allocate(byteCount: Burst.capacity * TagHead.stride, alignment: 64)
        batch = DatagramBatch()
        coalescer = Coalescer()
        writer = MessageWriter()
        tunnelFlows = .allocate(capacity: Burst.capacity)
        replies = ReplyFrames()
        replyLimiters = .allocate(capacity: fabric.portCapacity)
        replyLimiters.initialize(repeating: ReplyLimiter(), count: fabric.portCapacity)
        announcementLimiters = .allocate(capacity: fabric.portCapacity)
        announcementLimiters.initialize(
            repeating: ReplyLimiter(perSecond: 200, burst: 100), count: fabric.portCapacity)
        foreignFrames = .allocate(capacity: Burst.capacity)
        foreignSlots = .allocate(capacity: Burst.capacity)
        foreignIDs = .allocate(capacity: Burst.capacity)
        pendingRecords = .allocate(capacity: CaptureTap.limit * Burst.capacity)
        pendingRecords.initialize(
            repeating: nil, count: CaptureTap.limit * Burst.capacity)
        filterRoom = .allocate(byteCount: SlotSize.maximumFrame, alignment: 16)
        link.reportedGeneration.store(snapshot.generation, ordering: .releasing)
    }

    deinit {
        classified.deallocate()
        references.deallocate()
        chains.deallocate()
        activePorts.deallocate()
        entries.deallocate()
        entryInfo.deallocate()
        tagHeads.deallocate()
        tunnelFlows.deallocate()
        replies.deallocate()
        replyLimiters.deallocate()
        announcementLimiters.deallocate()
        foreignFrames.deallocate()
        foreignSlots.deallocate()
        foreignIDs.deallocate()
        pendingRecords.deallocate()
        filterRoom.deallocate()
    }

    // MARK: Rounds

    /// Starts a round at monotonic time `time` in nanoseconds; true when the snapshot is a new one,
    /// so that the caller looks at which ports it now owns.
    package mutating func beginRound(time: UInt64) -> Bool {
        self.time = time
        tick = Worker.tick(time)
        var changed = false
        if fabric.cell.generation != snapshot.generation {
            snapshot = fabric.cell.load()
            flight = snapshot.recorder?.rings[index]
            link.reportedGeneration.store(snapshot.generation, ordering: .releasing)
            changed = true
        }
        if ownsFDB { serveFDB() }
        if link.hasInjections { transmitInjected() }
        return changed
    }

    /// Monotonic nanoseconds as FDB ticks.
    package static func tick(_ time: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: time / (1_000_000_000 / UInt64(FDB.ticksPerSecond)))
    }

    /// Whether this worker owns the port or tunnel in its snapshot.
    package func owns(_ port: UInt16) -> Bool {
        Int(port) < snapshot.portCount && snapshot.ports[Int(port)].flags.contains(.exists)
            && Int(snapshot.ports[Int(port)].worker) == index
    }

    /// Whether this worker owns the underlay of that number.
    package func ownsUnderlay(_ number: UInt16) -> Bool { ownedUnderlay(number) != nil }

    private func ownedUnderlay(_ number: UInt16) -> Int? {
        guard let place = snapshot.tunnelTable.underlay(numbered: number),
            Int(snapshot.tunnelTable.underlays[place].worker) == index
        else { return nil }
        return place
    }

    /// Receives one burst from a port or an underlay that this worker owns and switches it.
    package mutating func serve(port: UInt16) -> ReceiveOutcome {
        receivedCount = 0
        guard owns(port), let attachment = snapshot.attachments[Int(port)] else {
            return ownedUnderlay(port).map { serveUnderlay($0) } ?? .drained
        }
        recycleSlots()
        burst.refill(from: &pool)
        guard burst.limit > 0 else { return .more }
        let outcome = attachment.receive(into: &burst)
        receivedCount = burst.count
        if burst.count > 0 {
            link.bursts.store(link.bursts.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
            prepareNotes(ingress: port)
            forward(ingress: port)
            transmitAll()
        }
        attachment.releaseBurst()
        burst.clear()
        return outcome
    }

    /// Transmits what other workers handed over and wakes those that got something; true when there
    /// was anything to do.
    package mutating func endRound() -> Bool {
        var busy = false
        if hasPeers {
            for peer in 0..<fabric.links.count where peer != index {
                while receiveHandoffs(from: peer) { busy = true }
            }
            while peersToWake != 0 {
                let peer = peersToWake.trailingZeroBitCount
                peersToWake &= peersToWake &- 1
                fabric.links[peer].wake()
            }
        }
        return busy || command != nil
    }

    /// Declares that the thread is about to wait; false when something came in meanwhile. Follow a
    /// true with ``didWake()`` after waiting.
    package func willSleep() -> Bool {
        link.setSleeping(true)
        let idle =
            fabric.cell.generation == snapshot.generation && !link.hasCommands && command == nil
            && !link.hasInjections
            && link.incoming.allSatisfy { $0.isEmpty }
            && (!ownsFDB || fabric.links.allSatisfy { $0.learns.isEmpty })
        if idle {
            link.sleeps.add(1, ordering: .relaxed)
        } else {
            link.setSleeping(false)
        }
        return idle
    }

    package func didWake() { link.setSleeping(false) }

    /// Nanoseconds after which the worker wants a round though nothing happens; nil for never.
    package var wakeInterval: UInt64? {
        ownsFDB && fabric.fdb.learnedCount > 0 ? 1_000_000_000 : nil
    }
}
