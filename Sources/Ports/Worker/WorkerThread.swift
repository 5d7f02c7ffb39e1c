import CLinux
import Dataplane
import Glibc
import Synchronization

/// A forwarding thread: runs a ``Worker`` and waits in epoll while there is nothing to do.
///
/// It waits for readable ports (not at all after a busy round) and then makes a few rounds: in each
/// it serves one burst of every port that still has frames, then frames handed over by others.
/// Before it sleeps it asks again for a while where that pays: see ``AdaptiveSpin``.
///
/// Ports are watched level-triggered, so a port with more than a burst is simply readable again; a
/// port that has ended is no longer watched. Ports that share memory with their peer (``RingSet``) are
/// served in every round from their first notification on, until they have been empty for a while or
/// the worker goes to sleep. Ports without a descriptor are asked every millisecond.
/// Idle costs no CPU but one wake-up a second while there are learned addresses to age.
package final class WorkerThread: Waker, @unchecked Sendable {
    // @unchecked: `thread` is written by start() and read by join(), both on the control side.
    private let fabric: Fabric
    private let index: Int
    private let epoll: Int32
    private let event: Int32
    private let isStopping = Atomic<Bool>(false)
    private var thread: pthread_t?
    /// The clock of the thread's processor time; `noClock` until there is a thread.
    private let clock = Atomic<Int32>(WorkerThread.noClock)

    private static let noClock = Int32.max

    /// Identifies the wake-up descriptor among epoll's events; no port has this number.
    private static let wakeToken = UInt64.max

    package init(fabric: Fabric, index: Int) throws(PortError) {
        self.fabric = fabric
        self.index = index
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else {
            throw PortError.kernel("epoll_create1", object: "worker \(index)", errno)
        }
        event = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard event >= 0 else {
            let error = errno
            close(epoll)
            throw PortError.kernel("eventfd", object: "worker \(index)", error)
        }
        watch(event, token: WorkerThread.wakeToken)
        fabric.links[index].setWaker(self)
    }

    deinit {
        close(epoll)
        close(event)
    }

    package func wake() {
        var one: UInt64 = 1
        _ = write(event, &one, 8)
    }

    package func start() throws(PortError) {
        let box = Unmanaged.passRetained(self)
        var created = pthread_t()
        let status = pthread_create(
            &created, nil,
            { argument in
                guard let argument else { return nil }
                let thread = Unmanaged<WorkerThread>.fromOpaque(argument).takeRetainedValue()
                _ = clinux_set_thread_name("heddle-worker")
                thread.run()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            box.release()
            throw PortError.kernel("pthread_create", object: "worker \(index)", status)
        }
        thread = created
        var identifier = clockid_t()
        if pthread_getcpuclockid(created, &identifier) == 0 {
            clock.store(identifier, ordering: .relaxed)
        }
    }

    /// Processor time that the thread has taken; nil when it does not run.
    package var cpuSeconds: Double? {
        let identifier = clock.load(ordering: .relaxed)
        var time = timespec()
        guard identifier != WorkerThread.noClock, clock_gettime(identifier, &time) == 0 else {
            return nil
        }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Ends the loop and waits for the thread.
    package func stop() {
        isStopping.store(true, ordering: .releasing)
        wake()
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }

    // MARK: The loop

    /// Ports that the loop watches or asks, rebuilt when a new snapshot comes.
    private struct Watched {
        /// By port number: the descriptor watched, or -1.
        var descriptors: [Int32] = []
        /// Ports without a descriptor.
        var asked: [UInt16] = []
        /// Ports that share memory with their peers.
        var rings = RingSet()
    }

    private func run() {
        var worker = Worker(fabric: fabric, index: index)
        var watched = Watched()
        let eventCapacity = 64
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: eventCapacity)
        let ready = UnsafeMutablePointer<UInt16>.allocate(capacity: eventCapacity)
        defer {
            events.deallocate()
            ready.deallocate()
        }
        rebuild(&watched, for: worker.snapshot, owner: worker)
        var isBusy = false
        var spin = AdaptiveSpin()

        while !isStopping.load(ordering: .acquiring) {
            var timeout: Int32 = 0
            var sleeps = false
            if !isBusy {
                let now = WorkerThread.monotonicNanoseconds()
                if spin.shouldAskAgain(at: now) {
                    sched_yield()
                    spin.yielded(from: now, until: WorkerThread.monotonicNanoseconds())
                } else if watched.rings.arm(), worker.willSleep() {
                    sleeps = true
                    timeout = waitMilliseconds(worker: worker, asks: !watched.asked.isEmpty)
                }
            }
            let count = Int(epoll_wait(epoll, events, Int32(eventCapacity), timeout))
            if sleeps { worker.didWake() }
            var readyCount = collect(events, count, into: ready, &watched.rings)
            var found = readyCount > 0
            let start = WorkerThread.monotonicNanoseconds()
            var time = start
            var rounds = 0
            repeat {
                if rounds > 0 { time = WorkerThread.monotonicNanoseconds() }
                if worker.beginRound(time: time) {
                    rebuild(&watched, for: worker.snapshot, owner: worker)
                }
                isBusy = false
                var kept = 0
                for position in 0..<readyCount {
                    if serve(ready[position], with: &worker, &watched) { isBusy = true }
                    guard worker.receivedCount > 0 else { continue }
                    ready[kept] = ready[position]
                    kept += 1
                }
                readyCount = kept
                if watched.rings.serve(with: &worker, at: time) {
                    found = true
                    isBusy = true
                }
                if rounds == 0, !watched.asked.isEmpty, ask(&watched, with: &worker) {
                    isBusy = true
                }
                if worker.endRound() { isBusy = true }
                rounds += 1
            } while (readyCount > 0 || isBusy) && rounds < WorkerThread.roundsPerWait
            if found || isBusy { spin.foundFrames(at: start) }
        }
    }

    /// Rounds over the ports that epoll named, while they have frames, before it is asked again: a
    /// read that finds nothing costs half of what asking does. Few, for other ports' sake.
    private static let roundsPerWait = 4

    /// Sorts epoll's events into ports to be served, whose number it returns, and wake-ups.
    private func collect(
        _ events: UnsafeMutablePointer<epoll_event>, _ count: Int,
        into ready: UnsafeMutablePointer<UInt16>, _ rings: inout RingSet
    ) -> Int {
        var readyCount = 0
        for position in 0..<max(count, 0) {
            let token = events[position].data.u64
            if token == WorkerThread.wakeToken {
                var value: UInt64 = 0
                _ = read(event, &value, 8)
            } else if !rings.notified(UInt16(truncatingIfNeeded: token)) {
                ready[readyCount] = UInt16(truncatingIfNeeded: token)
                readyCount += 1
            }
        }
        return readyCount
    }

    /// Serves a readable port; true when it had a full burst. An ended one is no longer watched.
    private func serve(
        _ port: UInt16, with worker: inout Worker, _ watched: inout Watched
    ) -> Bool {
        switch worker.serve(port: port) {
        case .more: return true
        case .drained: return false
        case .ended:
            if Int(port) < watched.descriptors.count, watched.descriptors[Int(port)] >= 0 {
                unwatch(watched.descriptors[Int(port)])
                watched.descriptors[Int(port)] = -1
            }
            return false
        }
    }

    /// Serves the ports that have no descriptor; true when one had a full burst.
    private func ask(_ watched: inout Watched, with worker: inout Worker) -> Bool {
        var isBusy = false
        var position = 0
        while position < watched.asked.count {
            switch worker.serve(port: watched.asked[position]) {
            case .more:
                isBusy = true
                position += 1
            case .drained: position += 1
            case .ended: watched.asked.remove(at: position)
            }
        }
        return isBusy
    }

    private func waitMilliseconds(worker: borrowing Worker, asks: Bool) -> Int32 {
        if asks { return 1 }
        guard let interval = worker.wakeInterval else { return -1 }
        return Int32(interval / 1_000_000)
    }

    private func rebuild(_ watched: inout Watched, for snapshot: Snapshot, owner: borrowing Worker)
    {
        var descriptors = [Int32](repeating: -1, count: snapshot.portCount)
        var asked: [UInt16] = []
        var rings: [(UInt16, any Port)] = []
        for port in snapshot.configuration.ports where owner.owns(port.number) {
            if port.port.isRing { rings.append((port.number, port.port)) }
            if let descriptor = port.port.pollDescriptor {
                descriptors[Int(port.number)] = descriptor
            } else {
                asked.append(port.number)
            }
        }
        for underlay in snapshot.configuration.underlays where owner.ownsUnderlay(underlay.number) {
            if let descriptor = underlay.underlay.pollDescriptor {
                descriptors[Int(underlay.number)] = descriptor
            } else {
                asked.append(underlay.number)
            }
        }
        for number in 0..<max(descriptors.count, watched.descriptors.count) {
            let old = number < watched.descriptors.count ? watched.descriptors[number] : -1
            let new = number < descriptors.count ? descriptors[number] : -1
            // A port that is watched under the same descriptor stays so; if the descriptor was
            // closed and reused meanwhile, epoll has forgotten it and adding it again succeeds.
            if old >= 0, old != new { unwatch(old) }
            if new >= 0 { watch(new, token: UInt64(number)) }
        }
        watched.descriptors = descriptors
        watched.asked = asked
        watched.rings.replace(rings)
    }

    private func watch(_ descriptor: Int32, token: UInt64) {
        var interest = epoll_event()
        interest.events = EPOLLIN.rawValue
        interest.data.u64 = token
        if epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &interest) != 0, errno == EEXIST {
            // The same descriptor may now stand for another port.
            epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &interest)
        }
    }

    private func unwatch(_ descriptor: Int32) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
    }

    /// CLOCK_MONOTONIC in nanoseconds.
    package static func monotonicNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
