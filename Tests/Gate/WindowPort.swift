import Dataplane
import Synchronization

/// A port that measures the thread it is served by, from one received frame to a later one.
final class WindowPort: Port, @unchecked Sendable {
    // @unchecked: used by the worker's thread; `window` is read when that thread has ended.
    // The window is behind a pointer, for its own exclusivity checks not to be counted.
    private let inner: any Port
    private let first: Int
    private let last: Int
    private let measured: UnsafeMutablePointer<Window>
    private(set) var bursts: UInt64 = 0
    private let received = Atomic<Int>(0)
    private var onOpen: () -> Void

    /// - Parameters:
    ///   - first: frames received before the window opens.
    ///   - count: frames in the window, rounded up to a burst.
    ///   - onOpen: called on the worker's thread just before the window opens.
    init(_ inner: any Port, first: Int, count: Int, onOpen: @escaping () -> Void) {
        self.inner = inner
        self.first = first
        last = first + count
        self.onOpen = onOpen
        measured = .allocate(capacity: 1)
        measured.initialize(to: Window())
    }

    deinit { measured.deallocate() }

    var window: Window { measured.pointee }

    /// Frames received so far; any thread.
    var receivedCount: Int { received.load(ordering: .relaxed) }
    var hasClosed: Bool { receivedCount > last }

    var offloads: OffloadSet { inner.offloads }
    var pollDescriptor: Int32? { inner.pollDescriptor }

    func receive(into burst: inout Burst) -> ReceiveOutcome {
        let before = received.load(ordering: .relaxed)
        let outcome = inner.receive(into: &burst)
        let after = before + burst.count
        if before < first, after >= first {
            onOpen()
            measured.pointee.openFaults()
            measured.pointee.open()
        } else if before >= first, before < last {
            bursts += 1
            if after >= last {
                measured.pointee.close()
                measured.pointee.closeFaults()
            }
        }
        // One more than the frames once the window is closed, so that the end is seen from outside.
        received.store(after >= last && before < last ? last + 1 : after, ordering: .relaxed)
        return outcome
    }

    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) { inner.transmit(entries) }
}
