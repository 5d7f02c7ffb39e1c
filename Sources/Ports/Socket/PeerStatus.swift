import Synchronization

/// What a port says of its peer, and who is told when that changes: on the loop's thread, in order.
final class PeerStatus: Sendable {
    private struct Content {
        var state: PeerState
        var observer: (@Sendable (PeerState) -> Void)?
    }

    private let content: Mutex<Content>
    private let loop: PeerLoop

    init(_ state: PeerState, loop: PeerLoop) {
        content = Mutex(Content(state: state))
        self.loop = loop
    }

    var current: PeerState { content.withLock { $0.state } }

    func observe(_ observer: (@Sendable (PeerState) -> Void)?) {
        content.withLock { $0.observer = observer }
    }

    func publish(_ state: PeerState) {
        let isNews = content.withLock { content in
            guard content.state != state else { return false }
            content.state = state
            return content.observer != nil
        }
        guard isNews else { return }
        loop.run { [self] in
            content.withLock { $0.observer }?(state)
        }
    }
}
