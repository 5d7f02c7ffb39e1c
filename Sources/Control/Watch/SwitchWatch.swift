import ControlAPI
import Dataplane
import Glibc
import Ports
import Synchronization
import Wire

/// The thread that looks at what the workers tell of addresses, stations, loops and drops, and makes
/// stations, events and loop probes of it.
///
/// It looks four times a second while workers switch bursts, and every twenty milliseconds while
/// probes are under way. While nothing is switched it reads one word per worker.
///
/// Locks: ``stations`` only, for as long as it takes to enter what came in a quarter of a second. What
/// changes the switch (``Controller/hold(_:seconds:reason:other:)``) is handed to a queue, because it may
/// have to wait for an apply.
final class SwitchWatch: @unchecked Sendable {
    // @unchecked: for the reference to the controller, which is set before the thread starts.

    static let period: UInt64 = 250_000_000
    private static let busyPeriod = LoopProber.burstPause
    /// Looks that go on after the last burst, so that the drops of its second are read.
    private static let quietLimit = 8

    let stations = Mutex(StationTable())
    private let fabric: Fabric
    private let journal: EventJournal
    private let instance: UInt64
    private let waker: WakeDescriptor
    private let isStopping = Atomic<Bool>(false)
    /// Set when the model has changed in a way that no generation tells of.
    private let hasNews = Atomic<Bool>(true)
    private let thread = Mutex<NamedThread?>(nil)
    private weak var controller: Controller?

    init(fabric: Fabric, journal: EventJournal, instance: String) throws(SystemError) {
        self.fabric = fabric
        self.journal = journal
        self.instance = SwitchWatch.probeInstance(of: instance)
        waker = try WakeDescriptor()
    }

    /// The number that loop probes bear: FNV-1a, 64 bits, of the instance's name.
    static func probeInstance(of name: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        // The address has the low bits alone.
        return hash ^ hash >> 29
    }

    /// The source address of the switch's own frames.
    var ownAddress: MACAddress { LoopProbe.sourceMAC(instance: instance) }

    func start(for controller: Controller) throws(SystemError) {
        self.controller = controller
        try thread.withLock { (thread) throws(SystemError) in
            thread = try NamedThread("heddle-watch") { self.run() }
        }
    }

    /// Ends the thread; a second call does nothing.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        waker.signal()
        let ending = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        ending?.join()
    }

    /// The switch has changed: names, states.
    func noteChange() { hasNews.store(true, ordering: .releasing) }

    private func run() {
        var round = WatchRound(
            fabric: fabric, journal: journal, instance: instance, now: Self.now)
        var bursts: UInt64 = 0
        var quietLooks = 0
        while !isStopping.load(ordering: .acquiring) {
            let isComplete = hasNews.exchange(false, ordering: .acquiring)
            let generation = fabric.cell.generation
            if isComplete || round.generation != generation {
                round.generation = generation
                guard let model = controller?.model.withLock({ $0 }) else { return }
                let names = WatchedNames(model)
                stations.withLock {
                    round.take(names, isComplete: isComplete, now: Self.now, &$0)
                }
            }
            // What a worker has told of a burst it may tell a little later than it counts it.
            let seen = fabric.links.reduce(0) { $0 &+ $1.bursts.load(ordering: .relaxed) }
            quietLooks = seen == bursts && !isComplete ? quietLooks + 1 : 0
            bursts = seen
            let probes = round.isBusy || round.names.loopProbeSeconds != nil
            if quietLooks <= Self.quietLimit || probes {
                let loops = stations.withLock { round.look(now: Self.now, &$0) }
                if let seconds = round.names.loopHoldSeconds {
                    for loop in loops { hold(loop, round.names, seconds) }
                }
            }
            let timeout = round.isBusy ? Self.busyPeriod : Self.period
            var polled = pollfd(fd: waker.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            _ = poll(&polled, 1, Int32(timeout / 1_000_000))
        }
    }

    private static var now: UInt64 { WorkerThread.monotonicNanoseconds() }

    /// Takes the loop's access port down that has the higher number, and never a tunnel or a trunk,
    /// which others need.
    private func hold(_ loop: LoopProber.Loop, _ names: WatchedNames, _ seconds: Int) {
        let candidates = [loop.port, loop.ingress].filter {
            names.places[$0].map { $0.isAccess && !$0.isTunnel } ?? false
        }
        guard let number = candidates.max() else { return }
        let other = number == loop.port ? loop.ingress : loop.port
        let reason = other == number ? "itself" : names.place(other)
        controller?.hold(
            number, seconds: seconds, reason: "it is in a loop with \(reason)", other: other)
    }
}
