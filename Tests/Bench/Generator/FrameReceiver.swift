import CLinux
import Glibc
import Synchronization

/// Receives the frames of all far interfaces on one thread, and judges them.
final class FrameReceiver {
    /// What one interface got.
    struct Account {
        var checks: [SequenceCheck]
        /// Made by the ring, not by the switch.
        var dropped: UInt64 = 0

        var received: UInt64 { checks.reduce(0) { $0 + $1.received } }
        var reordered: UInt64 { checks.reduce(0) { $0 + $1.reordered } }
        var duplicated: UInt64 { checks.reduce(0) { $0 + $1.duplicated } }
    }

    private let rings: [ReceiveRing]
    private(set) var accounts: [Account]
    private(set) var latency = LatencyHistogram()
    private let isEnding = Atomic(false)

    init(_ rings: [ReceiveRing], flowCount: Int) {
        self.rings = rings
        accounts = rings.map { _ in
            Account(checks: [SequenceCheck](repeating: SequenceCheck(), count: flowCount))
        }
    }

    /// Tells ``run()`` to return as soon as nothing more arrives.
    func end() { isEnding.store(true, ordering: .releasing) }

    /// Receives until ``end()`` was called and a tenth of a second has passed without a frame, or a
    /// second with some.
    func run() throws {
        var sockets = rings.map { pollfd(fd: $0.socket, events: Int16(POLLIN), revents: 0) }
        var deadline = UInt64.max
        while Clock.now() < deadline {
            let isEnding = isEnding.load(ordering: .acquiring)
            if isEnding, deadline == .max { deadline = Clock.now() + 1_000_000_000 }
            let ready = poll(&sockets, nfds_t(sockets.count), 100)
            if ready == 0, isEnding { break }
            for index in rings.indices { drain(index) }
        }
        for index in rings.indices { accounts[index].dropped = try rings[index].dropped() }
    }

    private func drain(_ index: Int) {
        rings[index].drain { frame, time in
            let flow = TestFrame.flow(frame)
            guard flow < accounts[index].checks.count else { return }
            accounts[index].checks[flow].note(TestFrame.sequence(frame))
            let due = TestFrame.time(frame)
            latency.record(time > due ? time - due : 0)
        }
    }
}
