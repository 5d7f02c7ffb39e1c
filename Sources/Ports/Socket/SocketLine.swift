// The worker's half of a socket port: it moves frames between a burst and the peer's descriptor, if
// there is a peer.
//
// The descriptor that the worker polls is an epoll of the port's own, the same for the port's life, in
// which the peer's descriptor comes and goes. It is readable when
//
// - the peer's descriptor is, or is writable while something waits to be sent: then the wait for
//   "writable" ends as soon as that is gone;
// - the port itself holds whole frames that no poll of the peer's descriptor tells of: an event
//   descriptor says so.
//
// Whatever makes it readable, the next receive call does away with: that is what keeps a worker from
// spinning. A peer's end in particular: its descriptor is taken out at once, and the port's control is
// told, which closes it.
//
// The lock is held for one system call or two, none of which waits. The control's calls (attach,
// finish, detach) come from the loop's thread, the others from the owning worker.

import CLinux
import Dataplane
import Glibc
import Synchronization

final class SocketLine: @unchecked Sendable {
    // @unchecked: what the lock guards, and atomics.

    typealias LossHandler = @Sendable (_ generation: UInt64, PeerLoss) -> Void

    let pollDescriptor: Int32
    /// Messages of all peers that were no frames.
    let malformedCount = Atomic<UInt64>(0)

    private let event: Int32
    private let loop: PeerLoop
    private let lock = PortLock()
    private let channel: any FrameChannel
    private var lossHandler: LossHandler?
    /// The peer's, or -1.
    private var descriptor: Int32 = -1
    private var generation: UInt64 = 0
    /// The peer is gone, and what it sent is not all received.
    private var isFinishing = false
    private var isRaised = false
    private var watchesOutput = false

    init(_ channel: any FrameChannel, loop: PeerLoop) throws(PortError) {
        self.channel = channel
        self.loop = loop
        pollDescriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard pollDescriptor >= 0 else {
            throw .kernel("epoll_create1", object: "a socket port", errno)
        }
        event = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard event >= 0 else {
            let code = errno
            Glibc.close(pollDescriptor)
            throw .kernel("eventfd", object: "a socket port", code)
        }
        control(EPOLL_CTL_ADD, event, EPOLLIN.rawValue)
    }

    deinit {
        Glibc.close(pollDescriptor)
        Glibc.close(event)
    }

    // MARK: The control's side

    /// Who is told, on the loop's thread, that a peer is no longer there.
    func onLoss(_ handler: LossHandler?) {
        lock.withLock { lossHandler = handler }
    }

    /// Serves a peer; its descriptor stays the caller's, who detaches before closing it.
    ///
    /// - Returns: the number by which the loss of this peer is told.
    func attach(_ peer: Int32) -> UInt64 {
        lock.withLock {
            precondition(descriptor < 0, "one peer at a time")
            channel.reset()
            descriptor = peer
            generation += 1
            isFinishing = false
            watchesOutput = false
            control(EPOLL_CTL_ADD, peer, EPOLLIN.rawValue)
            return generation
        }
    }

    /// The peer is known to be gone: its loss is told when all that it sent has been received.
    func finish() {
        lock.withLock {
            isFinishing = descriptor >= 0
            settle()
        }
    }

    /// No longer touches the peer's descriptor.
    func detach() {
        lock.withLock {
            release()
            channel.reset()
            settle()
        }
    }

    // MARK: The worker's side

    func receive(into burst: inout Burst) -> ReceiveOutcome {
        lock.lock()
        guard descriptor >= 0 else {
            settle()
            lock.unlock()
            return .drained
        }
        var loss = channel.hasOutput ? channel.flush(to: descriptor) : nil
        var result = ReceiveOutcome.drained
        switch channel.receive(from: descriptor, into: &burst) {
        case .more: result = .more
        case .drained: if isFinishing { loss = .left }
        case .lost(let reason): loss = reason
        }
        malformedCount.store(channel.malformedCount, ordering: .relaxed)
        if let loss {
            lose(loss)
        } else {
            settle()
            lock.unlock()
        }
        return result
    }

    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        lock.lock()
        guard descriptor >= 0 else {
            lock.unlock()
            for place in entries.indices { entries[place].outcome = .egressDown }
            return
        }
        if let loss = channel.transmit(entries, to: descriptor) { return lose(loss) }
        // Not taken back here: at a peer that is always behind it would be a system call each time.
        if channel.hasOutput, !watchesOutput { watchOutput(true) }
        lock.unlock()
    }

    /// Unlocks, and tells of a loss.
    @inline(never)
    private func lose(_ loss: PeerLoss) {
        let generation = generation
        let handler = lossHandler
        release()
        settle()
        lock.unlock()
        if let handler { loop.run { handler(generation, loss) } }
    }

    // MARK: Under the lock

    private func release() {
        if descriptor >= 0 { epoll_ctl(pollDescriptor, EPOLL_CTL_DEL, descriptor, nil) }
        descriptor = -1
        isFinishing = false
        watchesOutput = false
    }

    /// Makes the polled descriptor say what is so.
    @inline(__always)
    private func settle() {
        let waits = descriptor >= 0 && channel.hasOutput
        if waits != watchesOutput { watchOutput(waits) }
        let holds = descriptor >= 0 && (isFinishing || channel.hasInput)
        if holds != isRaised {
            isRaised = holds
            var value: UInt64 = 1
            if holds { _ = write(event, &value, 8) } else { _ = read(event, &value, 8) }
        }
    }

    private func watchOutput(_ waits: Bool) {
        watchesOutput = waits
        guard descriptor >= 0 else { return }
        control(
            EPOLL_CTL_MOD, descriptor, EPOLLIN.rawValue | (waits ? EPOLLOUT.rawValue : 0))
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ events: UInt32) {
        var interest = epoll_event()
        interest.events = events
        epoll_ctl(pollDescriptor, operation, descriptor, &interest)
    }
}
