import Dispatch
import Glibc
import Synchronization
import Wire

/// One thread that probes tunnels and reports whether their peers are there. There is no thread
/// before something is to be probed, and it sleeps while nothing is.
final class ProbeEngine: @unchecked Sendable {
    // @unchecked: for DispatchQueue's sake alone, which is safe to share.

    /// A probe that came by a tunnel.
    struct Arrival {
        var tunnel: String
        var packet: BFDControl
    }

    /// How often arrivals are collected: what is added to the time in which a dead peer is noticed.
    static let collectPeriod = Duration.milliseconds(20)

    private let transmit: @Sendable (String, BFDControl) -> Void
    private let collect: (@Sendable () -> [Arrival])?
    private let lastTraffic: (@Sendable (String) -> ContinuousClock.Instant?)?
    private let handler: @Sendable ([ProbeReport]) -> Void
    private let sessions = Mutex(ProbeSessions())
    /// Where reports are handed over: a receiver that waits must not hold up probes, or peers would
    /// find us dead.
    private let reports = DispatchQueue(label: "heddle.probe-reports")
    private let waker: WakeDescriptor
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<NamedThread?>(nil)

    /// - Parameters:
    ///   - transmit: sends a probe by a tunnel; called on the engine's thread, as is `collect`.
    ///   - collect: takes what has arrived, where arrivals wait in a mailbox; asked every
    ///     ``collectPeriod`` while something is probed. Nil where `received` is called instead.
    ///   - lastTraffic: when a frame last came by a tunnel, a tenant's or a probe; asked of those that
    ///     are down, as often. Nil where there is no telling.
    ///   - handler: is told of new and changed states, one call at a time, and of nothing when the
    ///     probed tunnels have become others; it may take its time.
    init(
        transmit: @escaping @Sendable (String, BFDControl) -> Void,
        collect: (@Sendable () -> [Arrival])? = nil,
        lastTraffic: (@Sendable (String) -> ContinuousClock.Instant?)? = nil,
        handler: @escaping @Sendable ([ProbeReport]) -> Void
    ) throws(SystemError) {
        self.transmit = transmit
        self.collect = collect
        self.lastTraffic = lastTraffic
        self.handler = handler
        waker = try WakeDescriptor()
    }

    /// Probes these tunnels and no others; none ends probing. After `stop` it does nothing.
    ///
    /// - Parameter interval: from probe to probe; three that fail to come make a peer down.
    func probe(_ tunnels: Set<String>, every interval: Duration) throws(SystemError) {
        sessions.withLock {
            var random = SystemRandomNumberGenerator()
            $0.set(tunnels, interval: interval, now: .now, using: &random)
        }
        try thread.withLock { (thread) throws(SystemError) in
            guard thread == nil, !tunnels.isEmpty, !isStopping.load(ordering: .acquiring) else {
                return
            }
            thread = try NamedThread("heddle-probes") { self.run() }
        }
        waker.signal()
        reports.async { [handler] in handler([]) }
    }

    /// Ends the thread; no closure is called afterwards. Peers are not told. Not from a closure.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        waker.signal()
        // Joined without the lock, which a closure that is running may want.
        let ending = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        ending?.join()
        reports.sync {}
    }

    /// A probe came by a tunnel. From any thread.
    func received(tunnel: String, packet: BFDControl) {
        if sessions.withLock({ $0.receive(packet, tunnel: tunnel, now: .now) }) { waker.signal() }
    }

    /// What is known of a tunnel; nil when it is not probed. From any thread.
    func report(of tunnel: String) -> ProbeReport? {
        sessions.withLock { $0.report(of: tunnel) }
    }

    private func run() {
        var random = SystemRandomNumberGenerator()
        while !isStopping.load(ordering: .acquiring) {
            let arrivals = collect?() ?? []
            let (packets, changes, next) = sessions.withLock { sessions in
                for arrival in arrivals {
                    sessions.receive(arrival.packet, tunnel: arrival.tunnel, now: .now)
                }
                if let lastTraffic { sessions.noteTraffic(lastTraffic, now: .now) }
                let (packets, changes) = sessions.advance(now: .now, using: &random)
                return (packets, changes, sessions.nextTime)
            }
            for (tunnel, packet) in packets { transmit(tunnel, packet) }
            if !changes.isEmpty { reports.async { [handler] in handler(changes) } }
            wait(until: next)
        }
    }

    /// Returns at that time, when arrivals are to be collected, or when signalled.
    private func wait(until time: ContinuousClock.Instant?) {
        var timeout: Int32 = -1
        if let time {
            var left = max(.zero, time - .now)
            if collect != nil { left = min(left, Self.collectPeriod) }
            // Rounded up, or the last millisecond would be spent asking.
            timeout = Int32(clamping: Int64((left / .milliseconds(1)).rounded(.up)))
        }
        var polled = pollfd(fd: waker.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        _ = poll(&polled, 1, timeout)
        waker.clear()
    }
}
