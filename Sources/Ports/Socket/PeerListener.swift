// Listens at a unix socket for the port's peer.
//
// There is one peer at a time: others are closed as they come. One that comes while the old peer has
// hung up but is not done with waits in the kernel's queue. Nor does a flood of connections, or a
// process out of descriptors, keep the loop busy: the listener is then left alone for a while.

import CLinux
import Glibc
import Synchronization

final class PeerListener: PeerSource {
    private static let acceptLimit = 16
    private static let pauseMilliseconds = 100

    private struct State {
        var descriptor: Int32 = -1
        var file: SocketFile?
        var isPaused = false
        weak var taker: ConnectionControl?
    }

    private let kind: UnixEndpoint.Kind
    private let path: String
    private let access: UnixEndpoint.Access
    /// The folder of the socket, if it is the listener's to make.
    private let folder: SocketFolder?
    private let loop: PeerLoop
    private let state = Mutex(State())

    init(
        _ kind: UnixEndpoint.Kind, _ path: String, access: UnixEndpoint.Access,
        folder: SocketFolder? = nil, loop: PeerLoop
    ) {
        self.kind = kind
        self.path = path
        self.access = access
        self.folder = folder
        self.loop = loop
    }

    var waiting: String { "waiting for a peer at \(folder?.path ?? path)" }

    func open(for taker: ConnectionControl) throws {
        try folder?.make()
        do {
            let descriptor = try UnixEndpoint.bind(kind, path, access: access)
            state.withLock { state in
                state.descriptor = descriptor
                state.file = SocketFile(path)
                state.taker = taker
                watch(&state)
            }
        } catch {
            folder?.remove()
            throw error
        }
    }

    func close() {
        state.withLock { state in
            guard state.descriptor >= 0 else { return }
            loop.unwatch(state.descriptor)
            Glibc.close(state.descriptor)
            state.descriptor = -1
            state.file?.remove()
            folder?.remove()
        }
    }

    func seek(after nanoseconds: UInt64) {
        state.withLock { state in
            guard state.descriptor >= 0, state.isPaused else { return }
            watch(&state)
        }
    }

    private func watch(_ state: inout State) {
        state.isPaused = false
        loop.watch(state.descriptor, EPOLLIN.rawValue) { [weak self] _ in self?.accept() }
    }

    private func accept() {
        for _ in 0..<Self.acceptLimit {
            guard let taker = state.withLock({ $0.descriptor >= 0 ? $0.taker : nil }) else {
                return
            }
            let demand = taker.demand
            if case .later = demand {
                pause(forMilliseconds: nil)
                // It may have found out in between.
                if case .later = taker.demand {} else { seek(after: 0) }
                return
            }
            let result = state.withLock { state -> (peer: Int32?, code: Int32) in
                guard state.descriptor >= 0 else { return (nil, EAGAIN) }
                let peer = UnixEndpoint.accept(state.descriptor)
                return (peer, errno)
            }
            guard let peer = result.peer else {
                if result.code != EAGAIN { pause(forMilliseconds: Self.pauseMilliseconds) }
                return
            }
            if case .wanted = demand { taker.take(peer) } else { taker.refuse(peer) }
        }
        pause(forMilliseconds: Self.pauseMilliseconds)
    }

    private func pause(forMilliseconds milliseconds: Int?) {
        state.withLock { state in
            guard state.descriptor >= 0 else { return }
            loop.unwatch(state.descriptor)
            state.isPaused = true
        }
        guard let milliseconds else { return }
        loop.after(milliseconds: milliseconds) { [weak self] in self?.seek(after: 0) }
    }
}
