import Synchronization
import Wire

/// How a sleeping worker is woken: an eventfd in the switch, nothing in tests.
package protocol Waker: Sendable {
    func wake()
}

/// A frame on its way to the worker that owns its egress port; it carries its slot along.
struct Handoff: BitwiseCopyable {
    var slot: UnsafeMutableRawPointer
    var bytes: UnsafeMutableRawPointer
    var byteCount: UInt32
    var tci: UInt16
    var segmentCount: UInt16
    var packetByteCount: UInt32
    var offload: Offload
    var egress: UInt16
    var domain: UInt16
    /// As a ``FrameID``.
    var id: UInt64
}

/// A learning effect on its way to the FDB's owner.
struct LearnRequest: BitwiseCopyable {
    var key: UInt64
    var port: UInt16
    var isSticky: Bool
    var tick: UInt32
}

/// A probe of a tunnel's far end.
package struct ProbeArrival: BitwiseCopyable, Sendable {
    package var tunnel: UInt16
    /// Monotonic nanoseconds.
    package var time: UInt64
    package var packet: BFDControl
}

/// A change to the FDB that the control side asks the owner for.
package struct FDBCommand: Sendable {
    package enum Operation: Sendable {
        case addStatic(FDBKey, port: UInt16)
        /// Enters an address as if it had been heard on a sticky port just now.
        case addSticky(FDBKey, port: UInt16)
        case delete(FDBKey)
        case flush(FDB.FlushPattern)
        case setPortLimit(UInt32, port: UInt16)
    }

    package var operation: Operation
    /// Called on the owner's thread when it is done, with how many entries changed.
    package var completion: @Sendable (Int) -> Void

    package init(_ operation: Operation, completion: @escaping @Sendable (Int) -> Void = { _ in }) {
        self.operation = operation
        self.completion = completion
    }
}

/// What other threads see of a worker: its counters, its mailboxes, and whether it sleeps.
package final class WorkerLink: Sendable {
    package let index: Int
    package let counters: Counters
    /// Generation of the snapshot in use.
    package let reportedGeneration = Atomic<UInt64>(0)
    /// Bursts switched since the start.
    package let bursts = Atomic<UInt64>(0)
    /// Times the worker went to sleep.
    package let sleeps = Atomic<UInt64>(0)

    /// Frames from worker `i` for this worker's ports.
    let incoming: [SPSCRing<Handoff>]
    /// Slots of this worker that worker `i` has finished with.
    let returns: [SPSCRing<UnsafeMutableRawPointer>]
    /// This worker's learning effects, for the owner of the FDB.
    let learns: SPSCRing<LearnRequest>
    /// Probes that came by tunnels, for the control side's one reader.
    package let probes = SPSCRing<ProbeArrival>(capacity: 1024)
    /// What the owner of the FDB has learned and moved, for the control side's one reader. Empty at
    /// the other workers.
    package let notices: SPSCRing<AddressNotice>
    /// Notices that found the ring full.
    package let lostNotices = Atomic<UInt64>(0)
    /// Loop probes that came back, for the control side's one reader. One that finds no room is a
    /// loop that has been told of.
    package let returnedProbes = SPSCRing<LoopReturn>(capacity: 256)
    /// What hosts said of themselves (ARP, neighbour discovery, DHCP), untagged, for the control
    /// side's one reader.
    package let announcements: CaptureRing
    package let drops: DropLedger

    private let isSleeping = Atomic<Bool>(false)
    private let waker = Mutex<(any Waker)?>(nil)
    private let commands = Mutex<[FDBCommand]>([])
    private let commandCount = Atomic<Int>(0)
    private let injections = Mutex<[InjectedFrame]>([])
    private let injectionCount = Atomic<Int>(0)

    init(index: Int, workerCount: Int, portCapacity: Int, domainCapacity: Int) {
        self.index = index
        counters = Counters(portCapacity: portCapacity, domainCapacity: domainCapacity)
        // A single worker has no peers: the smallest rings.
        let handoffCapacity = workerCount > 1 ? WorkerLink.handoffCapacity : 1
        incoming = (0..<workerCount).map { _ in SPSCRing(capacity: handoffCapacity) }
        returns = (0..<workerCount).map { _ in
            SPSCRing(capacity: workerCount > 1 ? Worker.slotCapacityWithPeers : 1)
        }
        learns = SPSCRing(capacity: workerCount > 1 ? 1024 : 1)
        notices = SPSCRing(capacity: index == 0 ? WorkerLink.noticeCapacity : 1)
        drops = DropLedger(portCapacity: portCapacity)
        announcements = CaptureRing(capacity: 128 << 10, portCapacity: portCapacity)
    }

    private static let noticeCapacity = 4096

    static let handoffCapacity = 256

    package func setWaker(_ waker: any Waker) { self.waker.withLock { $0 = waker } }

    /// Queues a command for the FDB's owner and wakes it.
    package func send(_ command: FDBCommand) {
        commands.withLock { $0.append(command) }
        commandCount.add(1, ordering: .releasing)
        wake()
    }

    /// Wakes the worker if it sleeps.
    package func wake() {
        // Against the sleeper's own order (flag, then a last look): one of the two must see the other.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if isSleeping.load(ordering: .relaxed) { waker.withLock { $0?.wake() } }
    }

    /// Has the worker transmit a frame of the switch's own by one of the worker's ports.
    package func inject(_ frame: InjectedFrame) {
        injections.withLock { $0.append(frame) }
        injectionCount.add(1, ordering: .releasing)
        wake()
    }

    var hasInjections: Bool { injectionCount.load(ordering: .acquiring) > 0 }

    func takeInjection() -> InjectedFrame? {
        guard hasInjections else { return nil }
        injectionCount.subtract(1, ordering: .relaxed)
        return injections.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    }

    func tell(_ notice: AddressNotice) {
        guard !notices.push(notice) else { return }
        lostNotices.store(lostNotices.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }

    var hasCommands: Bool { commandCount.load(ordering: .acquiring) > 0 }

    func takeCommand() -> FDBCommand? {
        guard hasCommands else { return nil }
        commandCount.subtract(1, ordering: .relaxed)
        return commands.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    }

    func setSleeping(_ sleeping: Bool) {
        isSleeping.store(sleeping, ordering: .relaxed)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }
}
