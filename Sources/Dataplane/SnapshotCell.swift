import Synchronization

/// Where the control side leaves the next ``Snapshot`` and workers look for it between bursts.
///
/// The look is one relaxed load; only a change takes the lock.
package final class SnapshotCell: Sendable {
    private let current: Mutex<Snapshot>
    private let published: Atomic<UInt64>

    package init(_ snapshot: Snapshot) {
        current = Mutex(snapshot)
        published = Atomic(snapshot.generation)
    }

    /// Publishes a snapshot of a later generation.
    package func publish(_ snapshot: Snapshot) {
        current.withLock { $0 = snapshot }
        published.store(snapshot.generation, ordering: .releasing)
    }

    package var generation: UInt64 { published.load(ordering: .acquiring) }

    package func load() -> Snapshot { current.withLock { $0 } }
}
