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

    private let isSleeping = Atomic<Bool>(false)
    private let waker = Mutex<(any Waker)?>(nil)
    private let commands = Mutex<[FDBCommand]>([])
    private let commandCount = Atomic<Int>(0)

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
    }

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
