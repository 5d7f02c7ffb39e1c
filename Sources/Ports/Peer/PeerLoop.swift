import CLinux
import Glibc
import Synchronization

/// The thread that serves the control side of all ports whose peers are processes: connections that
/// come and go, negotiations, timers.
///
/// Handlers and timers run one after the other on this thread, so that the state which only they
/// touch needs no lock. They may take as long as a memory mapping does, and must not wait for a peer.
/// Frames never pass here: they are the workers' business.
///
/// Descriptors are watched level-triggered and stay their owner's: unwatch before closing. After
/// ``unwatch(_:)`` on the loop's thread the handler is not called again. From other threads calls
/// are allowed, and a handler that is running then goes on to its end.
package final class PeerLoop: @unchecked Sendable {
    // @unchecked: `thread` is written in start and stop only, by the control side.

    package typealias Handler = @Sendable (_ events: UInt32) -> Void

    private struct Timer {
        var identifier: UInt64
        /// Monotonic nanoseconds.
        var due: UInt64
        var body: @Sendable () -> Void
    }

    private struct State {
        var handlers: [Int32: (registration: UInt64, handler: Handler)] = [:]
        var timers: [Timer] = []
        var jobs: [@Sendable () -> Void] = []
        var next: UInt64 = 1
    }

    private let state = Mutex(State())
    private let epoll: Int32
    private let event: Int32
    private let isStopping = Atomic<Bool>(false)
    private var thread: pthread_t?

    /// No descriptor's registration has this number.
    private static let wakeToken: UInt64 = 0

    package init() throws(PortError) {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else {
            throw .kernel("epoll_create1", object: "the loop for peers", errno)
        }
        event = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard event >= 0 else {
            let code = errno
            Glibc.close(epoll)
            throw .kernel("eventfd", object: "the loop for peers", code)
        }
        var interest = epoll_event()
        interest.events = EPOLLIN.rawValue
        interest.data.u64 = PeerLoop.wakeToken
        epoll_ctl(epoll, EPOLL_CTL_ADD, event, &interest)
    }

    deinit {
        Glibc.close(epoll)
        Glibc.close(event)
    }

    package func start() throws(PortError) {
        let box = Unmanaged.passRetained(self)
        var created = pthread_t()
        let status = pthread_create(
            &created, nil,
            { argument in
                guard let argument else { return nil }
                let loop = Unmanaged<PeerLoop>.fromOpaque(argument).takeRetainedValue()
                _ = clinux_set_thread_name("heddle-peers")
                loop.loop()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            box.release()
            throw .kernel("pthread_create", object: "the loop for peers", status)
        }
        thread = created
    }

    /// Ends the thread and waits for it; not to be called on it.
    package func stop() {
        isStopping.store(true, ordering: .releasing)
        wake()
        if let thread { pthread_join(thread, nil) }
        thread = nil
    }

    /// Calls `handler` with the events of a descriptor (EPOLLIN and so on), as long as there are any.
    package func watch(_ descriptor: Int32, _ events: UInt32, _ handler: @escaping Handler) {
        state.withLock { state in
            let registration = state.next
            state.next += 1
            let isKnown = state.handlers[descriptor] != nil
            state.handlers[descriptor] = (registration, handler)
            var interest = epoll_event()
            interest.events = events
            interest.data.u64 = registration << 32 | UInt64(UInt32(bitPattern: descriptor))
            let operation = isKnown ? EPOLL_CTL_MOD : EPOLL_CTL_ADD
            if epoll_ctl(epoll, operation, descriptor, &interest) != 0 {
                // Closed by its owner without a word, and used again since.
                epoll_ctl(
                    epoll, isKnown ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &interest)
            }
        }
    }

    package func unwatch(_ descriptor: Int32) {
        state.withLock { state in
            guard state.handlers.removeValue(forKey: descriptor) != nil else { return }
            epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
        }
    }

    /// Runs `body` once, after so many milliseconds.
    ///
    /// - Returns: what ``cancel(_:)`` takes.
    @discardableResult
    package func after(milliseconds: Int, _ body: @escaping @Sendable () -> Void) -> UInt64 {
        let due = WorkerThread.monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
        let identifier = state.withLock { state in
            let identifier = state.next
            state.next += 1
            state.timers.append(Timer(identifier: identifier, due: due, body: body))
            return identifier
        }
        wake()
        return identifier
    }

    /// On the loop's thread, the body is not run afterwards.
    package func cancel(_ timer: UInt64) {
        state.withLock { $0.timers.removeAll { $0.identifier == timer } }
    }

    /// Runs `body` on the loop's thread, soon.
    package func run(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.jobs.append(body) }
        wake()
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(event, &one, 8)
    }

    private func loop() {
        let capacity = 64
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: capacity)
        defer { events.deallocate() }
        while !isStopping.load(ordering: .acquiring) {
            let count = Int(epoll_wait(epoll, events, Int32(capacity), timeout()))
            for place in 0..<max(count, 0) {
                let token = events[place].data.u64
                if token == PeerLoop.wakeToken {
                    var value: UInt64 = 0
                    _ = read(event, &value, 8)
                    continue
                }
                let descriptor = Int32(bitPattern: UInt32(truncatingIfNeeded: token))
                // An earlier handler of this round may have closed it and opened another.
                let handler = state.withLock { state -> Handler? in
                    guard let found = state.handlers[descriptor],
                        found.registration & 0xFFFF_FFFF == token >> 32
                    else { return nil }
                    return found.handler
                }
                handler?(events[place].events)
            }
            for job in state.withLock({ takeJobs(&$0) }) { job() }
            runTimers()
        }
    }

    /// What was asked for so far; what these ask for comes in the next round.
    private func takeJobs(_ state: inout State) -> [@Sendable () -> Void] {
        let jobs = state.jobs
        state.jobs = []
        return jobs
    }

    /// Runs the timers that are due, each unless one before it has cancelled it.
    private func runTimers() {
        let now = WorkerThread.monotonicNanoseconds()
        let due = state.withLock { state in
            state.timers.filter { $0.due <= now }.sorted { $0.due < $1.due }.map(\.identifier)
        }
        for identifier in due {
            let body = state.withLock { state -> (@Sendable () -> Void)? in
                guard let place = state.timers.firstIndex(where: { $0.identifier == identifier })
                else { return nil }
                return state.timers.remove(at: place).body
            }
            body?()
        }
    }

    /// Milliseconds to the next timer; -1 without one.
    private func timeout() -> Int32 {
        state.withLock { state in
            if !state.jobs.isEmpty { return 0 }
            guard let due = state.timers.map(\.due).min() else { return -1 }
            let now = WorkerThread.monotonicNanoseconds()
            return due <= now ? 0 : Int32(clamping: (due - now + 999_999) / 1_000_000)
        }
    }
}
