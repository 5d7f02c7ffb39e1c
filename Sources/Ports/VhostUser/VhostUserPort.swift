import CLinux
import Dataplane
import Glibc
import Synchronization

/// A port whose other end is a virtual machine's network card: a virtio-net device whose driver and
/// front-end share their memory with the switch (vhost-user).
///
/// Here is what a worker calls; ``VhostDevice`` is what the session calls, on the loop's thread. A
/// ``PortLock`` keeps them apart: the worker holds it while it may touch guest memory, which is from a
/// receive to the burst's release and during a transmit. A transmit inside of that, an answer to the
/// port that a frame came from, finds it held by its own thread.
///
/// Notifications: the descriptor that the worker polls is an epoll of the port's own, with the kicks
/// of all queues that are received from, and an event of ours. All are edge-triggered there, so that
/// asking epoll is all it takes to be done with those that came, however many queues there are, and
/// nothing is read from a descriptor that the front-end shares. Queues that are transmitted to have
/// no use for kicks: a frame that finds no buffer is dropped.
package final class VhostUserPort: Port, @unchecked Sendable {
    // @unchecked: `queues`, `memory` and `log` are used under `lock`; descriptors are constant.

    package let name: String
    package let path: String
    package let isServer: Bool
    package let queuePairs: Int
    package let access: UnixEndpoint.Access
    /// What the driver is told, if anything.
    package let mtu: Int?
    package let loop: PeerLoop
    /// What the session's half keeps here.
    let session = Mutex<AnyObject?>(nil)

    let lock = PortLock()
    /// The thread that has received a burst and not released it yet; 0 for none. Only what that thread
    /// itself wrote can be its own number.
    private let burstThread = Atomic<UInt>(0)
    let queues: UnsafeMutablePointer<VirtQueueSet>
    /// Keeps alive what ``VirtQueueSet/memory`` names, and
    /// ``VirtQueueSet/log``.
    var memory: GuestMemory?
    var log: DirtyLog?
    let epoll: Int32
    /// Wakes the worker when there is something that no kick tells of.
    let wakeEvent: Int32
    package let faultDescriptor: Int32
    let offloadBits = Atomic<UInt8>(0)

    /// - Parameter queuePairs: pairs that a driver may use, 1 to 16.
    package init(
        name: String, path: String, isServer: Bool, queuePairs: Int, access: UnixEndpoint.Access,
        mtu: Int?, loop: PeerLoop
    ) throws(PortError) {
        precondition((1...16).contains(queuePairs))
        self.name = name
        self.path = path
        self.isServer = isServer
        self.queuePairs = queuePairs
        self.access = access
        self.mtu = mtu
        self.loop = loop
        let flags = Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)
        let opened = [epoll_create1(Int32(EPOLL_CLOEXEC)), eventfd(0, flags), eventfd(0, flags)]
        guard opened.allSatisfy({ $0 >= 0 }) else {
            let code = errno
            for descriptor in opened where descriptor >= 0 { Glibc.close(descriptor) }
            throw .kernel("epoll_create1 or eventfd", object: "port '\(name)'", code)
        }
        epoll = opened[0]
        wakeEvent = opened[1]
        faultDescriptor = opened[2]
        queues = .allocate(capacity: 1)
        queues.initialize(to: VirtQueueSet(pairCount: queuePairs))
        watch(wakeEvent)
    }

    deinit {
        queues.deinitialize(count: 1)
        queues.deallocate()
        for descriptor in [epoll, wakeEvent, faultDescriptor] { Glibc.close(descriptor) }
    }

    // MARK: Port

    package var offloads: OffloadSet { OffloadSet(rawValue: offloadBits.load(ordering: .relaxed)) }
    package var pollDescriptor: Int32? { epoll }
    package var takesSegments: Bool { true }
    package var isRing: Bool { true }

    package func receive(into burst: inout Burst) -> ReceiveOutcome {
        lock.lock()
        burstThread.store(pthread_self(), ordering: .relaxed)
        let outcome = queues.pointee.receive(into: &burst)
        if queues.pointee.hasControl { updateOffloads() }
        if queues.pointee.fault != nil { reportFault() }
        return outcome
    }

    package func releaseBurst() {
        signal(queues.pointee.publishReceived())
        burstThread.store(0, ordering: .relaxed)
        lock.unlock()
    }

    package func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        let isInBurst = burstThread.load(ordering: .relaxed) == pthread_self()
        if !isInBurst { lock.lock() }
        queues.pointee.transmit(entries)
        signal(queues.pointee.publishTransmitted())
        if queues.pointee.fault != nil { reportFault() }
        if !isInBurst { lock.unlock() }
    }

    package func arm() -> Bool { lock.withLock { queues.pointee.arm() } }

    package func disarm() {
        lock.withLock { queues.pointee.disarm() }
        drain()
    }

    /// Tells the drivers of the first `count` calls that were collected.
    @inline(__always)
    private func signal(_ count: Int) {
        for place in 0..<count { write(queues.pointee.calls[place]) }
    }
}
