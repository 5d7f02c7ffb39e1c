import Netlink
import Synchronization

/// The devices of the switch's namespace that the host's stack is kept from, all by one guard.
///
/// A device may be taken up anew before it was given back: it is guarded as often as it was asked
/// for. The guard is made with the first device, on a thread in the switch's namespace, so that a
/// switch without device ports needs none.
final class GuardedDevices: Sendable {
    private struct State: ~Copyable, @unchecked Sendable {
        // @unchecked: the guard is used with the lock held.
        var stackGuard: IngressGuard?
        var useCounts: [Int32: Int] = [:]
    }

    private let instance: String
    private let state = Mutex(State())

    init(instance: String) { self.instance = instance }

    func protect(_ index: Int32, name: String) throws {
        try state.withLock { state in
            let stackGuard = try state.stackGuard ?? IngressGuard(instance: instance)
            state.stackGuard = stackGuard
            try stackGuard.protect(index, name: name)
            state.useCounts[index, default: 0] += 1
        }
    }

    func release(_ index: Int32) {
        state.withLock { state in
            guard let count = state.useCounts[index] else { return }
            state.useCounts[index] = count > 1 ? count - 1 : nil
            // Mostly the device is gone, and the guard's part of it with it.
            if count == 1 { try? state.stackGuard?.release(index) }
        }
    }

    /// Releases all, and leaves nothing behind.
    func close() {
        state.withLock { state in
            state.stackGuard?.close()
            state.stackGuard = nil
            state.useCounts = [:]
        }
    }
}
