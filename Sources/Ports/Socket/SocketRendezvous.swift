// The loop's half of a port that meets its peer by datagrams, without a connection: QEMU's `-netdev
// dgram` with two unix sockets, where each knows or learns the path of the other's.
//
// While there is no peer the socket belongs to the loop. What comes is looked at for its sender, who
// becomes the peer; or, if the peer's path was given, is a sign that it is worth trying. With a peer the
// port's socket is connected to the peer's, and belongs to the worker: the kernel then takes datagrams
// from this peer only, queues without the limit of ten that holds for strangers, and tells when there is
// room again.
//
// Nothing tells that a peer has gone but an attempt to send, and a new one at the same path cannot send
// to a socket that is connected to the old one. So once a second it is looked whether the peer's
// socket is still there; that, and a failure to send, ends it.

import CLinux
import Glibc
import Synchronization

final class SocketRendezvous: SocketControl {
    private static let lookMilliseconds = 1000
    /// Datagrams of strangers that are done with at a time, and the pause then.
    private static let strangerLimit = 64
    private static let pauseMilliseconds = 100

    private struct State {
        var socket: Int32 = -1
        var file: SocketFile?
        var isWatched = false
        var timer: UInt64?
        /// The line's number for the peer, while there is one.
        var generation: UInt64?
        var name = ""
        /// A learned peer's file.
        var peerFile: Int32 = -1
    }

    private let label: String
    private let path: String
    private let peer: String?
    private let access: UnixEndpoint.Access
    private let line: SocketLine
    private let status: PeerStatus
    private let loop: PeerLoop
    private let state = Mutex(State())

    init(
        _ label: String, path: String, peer: String?, access: UnixEndpoint.Access,
        line: SocketLine, status: PeerStatus, loop: PeerLoop
    ) {
        self.label = label
        self.path = path
        self.peer = peer
        self.access = access
        self.line = line
        self.status = status
        self.loop = loop
    }

    private var waiting: String {
        if let peer { "waiting for a peer at \(peer)" } else { "waiting for a datagram to \(path)" }
    }

    func open() throws {
        if let peer { _ = try UnixEndpoint.address(peer) }
        let socket = try UnixEndpoint.bind(.datagram, path, access: access)
        if peer == nil {
            // Who a sender is: nobody may have the switch send where it may not send itself.
            var one: Int32 = 1
            setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &one, socklen_t(MemoryLayout<Int32>.size))
        }
        state.withLock { state in
            state.socket = socket
            state.file = SocketFile(path)
            status.publish(.waiting(waiting))
            watch(&state)
        }
        guard peer != nil else { return }
        loop.run { [weak self] in self?.look() }
    }

    func close() {
        state.withLock { state in
            guard state.socket >= 0 else { return }
            part(&state)
            if let timer = state.timer { loop.cancel(timer) }
            state.timer = nil
            unwatch(&state)
            Glibc.close(state.socket)
            state.socket = -1
            state.file?.remove()
        }
    }

    func lost(_ generation: UInt64, _ loss: PeerLoss) {
        state.withLock { state in
            guard state.socket >= 0, state.generation == generation else { return }
            status.publish(.waiting("\(waiting): \(state.name) \(loss.clause)"))
            part(&state)
            watch(&state)
            lookLater(&state)
        }
    }

    // MARK: The peer's socket

    /// Whether the peer is there: connects to it, or sees that it is gone.
    private func look() {
        state.withLock { state in
            state.timer = nil
            guard state.socket >= 0 else { return }
            let code = reconnect(state)
            if state.generation != nil {
                // What it sent before it went is received first.
                if code != 0 { line.finish() }
            } else if code == 0, let peer {
                meet(peer, &state)
            } else if code != ENOENT, code != ECONNREFUSED, let peer {
                let reason = String(cString: strerror(code))
                status.publish(.waiting("\(waiting): cannot connect to '\(peer)': \(reason)"))
            }
            lookLater(&state)
        }
    }

    private func reconnect(_ state: borrowing State) -> Int32 {
        if let peer {
            guard var address = try? UnixEndpoint.address(peer) else { return ENAMETOOLONG }
            return NamedSocket.connect(state.socket, &address)
        }
        return state.peerFile >= 0
            ? NamedSocket.reconnect(state.socket, to: state.peerFile) : ENOENT
    }

    /// A peer that is to be learned comes by itself.
    private func lookLater(_ state: inout State) {
        guard state.timer == nil, peer != nil || state.generation != nil else { return }
        state.timer = loop.after(milliseconds: Self.lookMilliseconds) { [weak self] in
            self?.look()
        }
    }

    /// The socket is connected: the worker has it from now on.
    private func meet(_ name: String, _ state: inout State) {
        unwatch(&state)
        state.name = name
        state.generation = line.attach(state.socket)
        status.publish(.connected("connected (\(label), \(name))"))
        lookLater(&state)
    }

    /// The loop has the socket again.
    private func part(_ state: inout State) {
        if state.generation != nil { line.detach() }
        state.generation = nil
        if state.peerFile >= 0 { Glibc.close(state.peerFile) }
        state.peerFile = -1
        NamedSocket.disconnect(state.socket)
    }

    // MARK: Datagrams while there is no peer

    private func watch(_ state: inout State) {
        guard state.socket >= 0, state.generation == nil, !state.isWatched else { return }
        state.isWatched = true
        loop.watch(state.socket, EPOLLIN.rawValue) { [weak self] _ in self?.arrived() }
    }

    private func unwatch(_ state: inout State) {
        if state.isWatched { loop.unwatch(state.socket) }
        state.isWatched = false
    }

    private func arrived() {
        state.withLock { state in
            guard state.socket >= 0, state.generation == nil, state.isWatched else { return }
            if let peer, reconnect(state) == 0 { return meet(peer, &state) }
            for _ in 0..<Self.strangerLimit {
                guard let origin = DatagramOrigin(peekingAt: state.socket) else { return }
                if peer == nil, learn(origin, &state) { return }
                recv(state.socket, nil, 0, Int32(MSG_DONTWAIT))
            }
            unwatch(&state)
            loop.after(milliseconds: Self.pauseMilliseconds) { [weak self] in
                guard let self else { return }
                self.state.withLock { self.watch(&$0) }
            }
        }
    }

    /// Makes the sender of the datagram that is next the peer, if it can be answered.
    private func learn(_ origin: DatagramOrigin, _ state: inout State) -> Bool {
        do throws(NamedSocket.Refusal) {
            let path = try NamedSocket.path(of: origin.address, byteCount: origin.byteCount)
            state.peerFile = try NamedSocket.connect(
                state.socket, to: path, owner: origin.credentials.user)
            meet("\(origin.credentials.name) at \(path)", &state)
            return true
        } catch {
            status.publish(.waiting("\(waiting): \(origin.credentials.name) \(error.clause)"))
            return false
        }
    }
}
