import CLinux
import Dataplane
import Glibc
import Wire

/// What the session does to the port, on the loop's thread: each call exchanges something under the
/// lock, and system calls are made outside of it.
extension VhostUserPort: VhostDevice {
    package func startQueue(_ index: Int, _ setup: VirtQueueSetup) throws(VhostFault) {
        guard index >= 0, index < 2 * queuePairs + 1 else {
            throw VhostFault("there is no queue \(index): the port has \(queuePairs) pairs")
        }
        if let fault = VirtQueue.check(setup) { throw VhostFault(index, fault) }
        // Nobody else has this ring yet.
        var queue = VirtQueue(setup)
        if let fault = queue.start(setup.inflight) {
            queue.deallocate()
            throw VhostFault(index, fault)
        }
        let old = lock.withLock {
            let old = queues.pointee.isStarted(index) ? queues.pointee.queues[index].kick : -1
            queues.pointee.start(index, queue)
            updateOffloads()
            return old
        }
        exchangeKick(index, from: old, to: setup.kick)
        wakeWorker()
    }

    package func stopQueue(_ index: Int) -> UInt32? {
        guard index >= 0, index < 2 * queuePairs + 1 else { return nil }
        let (kick, base) = lock.withLock { () -> (Int32, UInt32?) in
            guard queues.pointee.isStarted(index) else { return (-1, nil) }
            let kick = queues.pointee.queues[index].kick
            let base = queues.pointee.stop(index)
            updateOffloads()
            return (kick, base)
        }
        exchangeKick(index, from: kick, to: -1)
        return base
    }

    package func setEnabled(_ index: Int, _ isEnabled: Bool) {
        guard index >= 0, index < 2 * queuePairs + 1 else { return }
        lock.withLock { queues.pointee.setEnabled(index, isEnabled) }
        wakeWorker()
    }

    package func setCall(_ index: Int, _ descriptor: Int32) {
        guard index >= 0, index < 2 * queuePairs + 1 else { return }
        lock.withLock {
            if queues.pointee.isStarted(index) { queues.pointee.queues[index].call = descriptor }
        }
        // What was returned before may have found nobody to tell: a spurious call is harmless.
        write(descriptor)
    }

    package func setKick(_ index: Int, _ descriptor: Int32) {
        guard index >= 0, index < 2 * queuePairs + 1 else { return }
        let old = lock.withLock { () -> Int32? in
            guard queues.pointee.isStarted(index) else { return nil }
            let old = queues.pointee.queues[index].kick
            queues.pointee.queues[index].kick = descriptor
            return old
        }
        guard let old else { return }
        exchangeKick(index, from: old, to: descriptor)
        wakeWorker()
    }

    package func setMemory(_ memory: GuestMemory?) {
        // The old table goes when nobody can use it any more.
        let old = lock.withLock {
            let old = self.memory
            self.memory = memory
            queues.pointee.memory = memory.map { Unmanaged.passUnretained($0) }
            return old
        }
        withExtendedLifetime(old) {}
    }

    package func setDirtyLog(_ log: DirtyLog?) {
        let old = lock.withLock {
            let old = self.log
            self.log = log
            queues.pointee.log = log.map { Unmanaged.passUnretained($0) }
            return old
        }
        withExtendedLifetime(old) {}
    }

    package func announce(_ address: MACAddress) {
        lock.withLock { queues.pointee.addAnnouncement(address) }
        wakeWorker()
    }

    package func takeFault() -> (queue: Int, fault: VhostFault)? {
        let fault = lock.withLock {
            let fault = queues.pointee.fault
            queues.pointee.fault = nil
            return fault
        }
        var value: UInt64 = 0
        _ = clinux_read(faultDescriptor, &value, 8)
        return fault.map { ($0.queue, VhostFault($0.queue, $0.fault)) }
    }

    // MARK: Notifications

    /// Worker: tells the loop, and the front-end if it wants to know. Each fault comes here once, as
    /// no queue runs after it; until it is taken this may be called again, which does no harm.
    @inline(never)
    func reportFault() {
        guard let fault = queues.pointee.fault, !queues.pointee.isFaultReported else { return }
        queues.pointee.isFaultReported = true
        write(faultDescriptor)
        if queues.pointee.isStarted(fault.queue) {
            write(queues.pointee.queues[fault.queue].err)
        }
    }

    /// The lock is held.
    func updateOffloads() {
        offloadBits.store(queues.pointee.offloads.rawValue, ordering: .relaxed)
    }

    /// Adds one to an eventfd; nothing for -1.
    func write(_ descriptor: Int32) {
        guard descriptor >= 0 else { return }
        var one: UInt64 = 1
        _ = clinux_write(descriptor, &one, 8)
    }

    func wakeWorker() { write(wakeEvent) }

    /// Watches another kick of a queue that is received from.
    private func exchangeKick(_ index: Int, from old: Int32, to new: Int32) {
        if old >= 0 { epoll_ctl(epoll, EPOLL_CTL_DEL, old, nil) }
        if new >= 0, lock.withLock({ queues.pointee.wantsKicks(index) }) { watch(new) }
    }

    func watch(_ descriptor: Int32) {
        var status = stat()
        let isPipe = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
        var interest = epoll_event()
        interest.events = EPOLLIN.rawValue | EPOLLET.rawValue
        interest.data.u64 =
            UInt64(UInt32(bitPattern: descriptor)) | (isPipe ? VhostUserPort.pipeToken : 0)
        if epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &interest) != 0, errno == EEXIST {
            epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &interest)
        }
    }

    private static let pipeToken: UInt64 = 1 << 32

    /// Worker: is done with all notifications that came before this. Asking for edges is enough,
    /// except that a pipe, which the protocol allows, must not become full.
    func drain() {
        var event = epoll_event()
        while epoll_wait(epoll, &event, 1, 0) > 0 {
            guard event.data.u64 & VhostUserPort.pipeToken != 0 else { continue }
            let descriptor = Int32(bitPattern: UInt32(truncatingIfNeeded: event.data.u64))
            withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
                var piece = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
                // Never waits, whatever the front-end does to its end.
                _ = preadv2(descriptor, &piece, 1, -1, RWF_NOWAIT)
            }
        }
    }
}

extension VhostFault {
    init(_ queue: Int, _ fault: VirtQueueFault) {
        self.init("queue \(queue): \(fault.sentence)")
    }
}
