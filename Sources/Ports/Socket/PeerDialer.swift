import Glibc
import Synchronization

/// Connects to a unix socket where the port's peer listens, and tries again as long as nobody does:
/// after 100 ms at first, then twice as long each time up to 2 s. A peer that stayed for 2 s has been
/// a real one, and the next attempt comes soon again.
final class PeerDialer: PeerSource {
    private static let firstDelay = 100
    private static let lastDelay = 2000

    private struct State {
        var isOpen = false
        var delay = PeerDialer.firstDelay
        var timer: UInt64?
        weak var taker: ConnectionControl?
    }

    private let kind: UnixEndpoint.Kind
    private let path: String
    private let loop: PeerLoop
    private let state = Mutex(State())

    init(_ kind: UnixEndpoint.Kind, _ path: String, loop: PeerLoop) {
        self.kind = kind
        self.path = path
        self.loop = loop
    }

    var waiting: String { "waiting for somebody to listen at \(path)" }

    func open(for taker: ConnectionControl) throws {
        _ = try UnixEndpoint.address(path)
        state.withLock { state in
            state.isOpen = true
            state.taker = taker
        }
        loop.run { [weak self] in self?.dial() }
    }

    func close() {
        state.withLock { state in
            state.isOpen = false
            if let timer = state.timer { loop.cancel(timer) }
            state.timer = nil
        }
    }

    func seek(after nanoseconds: UInt64) {
        state.withLock { state in
            if nanoseconds >= UInt64(Self.lastDelay) * 1_000_000 { state.delay = Self.firstDelay }
            retry(&state)
        }
    }

    private func retry(_ state: inout State) {
        guard state.isOpen, state.timer == nil else { return }
        state.timer = loop.after(milliseconds: state.delay) { [weak self] in self?.dial() }
        state.delay = min(2 * state.delay, Self.lastDelay)
    }

    private func dial() {
        let taker = state.withLock { state -> ConnectionControl? in
            state.timer = nil
            return state.isOpen ? state.taker : nil
        }
        guard let taker else { return }
        do {
            if let peer = try UnixEndpoint.connect(kind, path) { return taker.take(peer) }
            taker.found(nothing: nil)
        } catch {
            taker.found(nothing: error.description)
        }
        state.withLock { retry(&$0) }
    }
}
