import Glibc
import Synchronization

/// Keeps a port's worker and the loop that serves its peer apart.
///
/// The worker holds it from a receive to the release of the burst, and for each transmit: tens of
/// microseconds at most. The loop holds it to exchange pointers, never while it waits for the kernel
/// or for the peer. So neither waits long, and waiting is yielding. A worker takes the lock of a port
/// that it transmits to while it holds that of the one it received from; the loop never holds two,
/// and each port has one worker, so that nobody waits for each other.
/// Uncontended, taking and releasing it cost an atomic exchange and a store.
package final class PortLock: Sendable {
    private let isTaken = Atomic<Bool>(false)

    package init() {}

    @inline(__always)
    package func lock() {
        if isTaken.exchange(true, ordering: .acquiring) { wait() }
    }

    /// Takes the lock if nobody has it.
    @inline(__always)
    package func tryLock() -> Bool { !isTaken.exchange(true, ordering: .acquiring) }

    @inline(__always)
    package func unlock() { isTaken.store(false, ordering: .releasing) }

    @inline(never)
    private func wait() {
        repeat { sched_yield() } while isTaken.exchange(true, ordering: .acquiring)
    }

    package func withLock<Value, Failure: Error>(
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        lock()
        defer { unlock() }
        return try body()
    }
}
