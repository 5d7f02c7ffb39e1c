import Glibc
import Logging
import Netlink
import Synchronization

/// One thread that follows the ways over the underlay as the kernel announces changes.
///
/// It belongs to the network namespace in which it was made, the switch's own. An event only starts
/// a fresh evaluation (``PathEvaluator``) at the time that ``EvaluationSchedule`` gives; what differs
/// from before is reported.
final class UnderlayMonitor: @unchecked Sendable {
    // @unchecked: `wanted` and the flags are guarded; the netlink sockets and `handler` are handed to
    // the thread by `start` and used by nobody else afterwards.

    private struct Wanted {
        var paths: [UnderlayPath] = []
        /// The last states, for listings.
        var states: [String: PathState] = [:]
        var refusals: @Sendable () -> UInt64 = { 0 }
    }

    /// How often it is asked whether sends were refused for their size: while there are paths.
    private static let refusalPeriod = Duration.milliseconds(500)

    private let log: Logger
    private let evaluator: PathEvaluator
    private let events: UnderlayEvents
    private let wanted = Mutex(Wanted())
    private let waker: WakeDescriptor
    private let isRequested = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private var thread: NamedThread?

    /// - Throws: when the thread's namespace gives no netlink sockets or the process no descriptors.
    init(log: Logger) throws {
        self.log = log
        waker = try WakeDescriptor()
        // Events first, so that a change between the two is not lost.
        events = try UnderlayEvents()
        evaluator = PathEvaluator(socket: try NetlinkSocket())
    }

    /// Starts the thread. States that are new or changed go to `handler`, on that thread, the first
    /// time that a path was watched included.
    func start(_ handler: @escaping @Sendable ([PathState]) -> Void) throws(SystemError) {
        thread = try NamedThread("heddle-underlay") { self.run(handler) }
    }

    /// Ends the thread; the handler is not called afterwards. Not from the handler.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        waker.signal()
        thread?.join()
        thread = nil
    }

    /// Follows these paths, whose names are unique, and no others. Those that were followed already
    /// are reported only when they change.
    ///
    /// - Parameter refusals: counts sends that the kernel refused because they no longer fit: what
    ///   it has then learned of a path's MTU it announces to nobody.
    func watch(_ paths: [UnderlayPath], refusals: @escaping @Sendable () -> UInt64 = { 0 }) {
        wanted.withLock { wanted in
            wanted.refusals = refusals
            let kept = Set(paths).intersection(wanted.paths)
            wanted.paths = paths
            let names = Set(kept.map(\.name))
            wanted.states = wanted.states.filter { names.contains($0.key) }
        }
        refresh()
    }

    /// Looks at everything again at once. Cheap when called in a row; safe from any thread.
    func refresh() {
        guard !isRequested.exchange(true, ordering: .acquiringAndReleasing) else { return }
        waker.signal()
    }

    /// What was last reported of a path; nil when it is not followed or not looked at yet.
    func state(of name: String) -> PathState? {
        wanted.withLock { $0.states[name] }
    }

    private func run(_ handler: ([PathState]) -> Void) {
        var schedule = EvaluationSchedule(now: .now)
        var refusals: UInt64 = 0
        while !isStopping.load(ordering: .acquiring) {
            wait(until: schedule.next.time)
            waker.clear()
            let (count, isFollowing) = wanted.withLock { ($0.refusals, !$0.paths.isEmpty) }
            if isFollowing, case let count = count(), count != refusals {
                refusals = count
                schedule.request(now: .now)
            }
            if isRequested.exchange(false, ordering: .acquiringAndReleasing) {
                schedule.request(now: .now)
            }
            schedule.note(drain(), now: .now)
            let (scope, time) = schedule.next
            let start = ContinuousClock.now
            if start >= time, !isStopping.load(ordering: .acquiring) {
                let succeeded = evaluate(scope, handler)
                schedule.finish(scope, start: start, now: .now, succeeded: succeeded)
            }
        }
    }

    /// Returns at that time, or earlier when there is something to read.
    private func wait(until time: ContinuousClock.Instant) {
        let isFollowing = wanted.withLock { !$0.paths.isEmpty }
        let left = isFollowing ? min(time - .now, Self.refusalPeriod) : time - .now
        guard left > .zero else { return }
        // Rounded up, or the last millisecond would be spent asking.
        let milliseconds = Int32(clamping: Int64(left / .milliseconds(1)) + 1)
        var polled = [waker.descriptor, events.descriptor].map {
            pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0)
        }
        // While everything is due in a moment, further events say nothing new.
        let count: nfds_t = left <= EvaluationSchedule.delay ? 1 : 2
        _ = poll(&polled, count, milliseconds)
    }

    private func drain() -> UnderlayChanges {
        do {
            return try events.drain()
        } catch {
            log.warning("route events: \(error)")
            return .overrun
        }
    }

    private func evaluate(
        _ scope: EvaluationSchedule.Scope, _ handler: ([PathState]) -> Void
    ) -> Bool {
        let paths = wanted.withLock(\.paths)
        let states: [PathState]
        do {
            states =
                switch scope {
                case .everything: try evaluator.evaluate(paths)
                case .neighbours: try evaluator.renewNeighbours()
                }
        } catch {
            log.warning("cannot look at the underlay: \(error)")
            return false
        }
        let changed = wanted.withLock { wanted in
            // Paths replaced meanwhile are looked at in the next round, which was requested.
            guard wanted.paths == paths else { return [PathState]() }
            return states.filter { state in
                wanted.states.updateValue(state, forKey: state.name) != state
            }
        }
        if !changed.isEmpty { handler(changed) }
        return true
    }
}
