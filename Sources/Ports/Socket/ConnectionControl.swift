// The loop's half of a port whose peer comes by a connection: QEMU's stream, `bess`, VDE.
//
//     PeerListener or PeerDialer ──take──▶ connection ─┬─────────────────────▶ line     stream, bess
//                                                      └─ PlugNegotiation ───▶ line     vde
//
// Without a negotiation the connection itself carries the frames and the worker reads its end. With
// one, frames pass another socket and the connection stays open beside it as the sign of life, watched
// here; it has to be there within a few seconds.
//
// When the line has lost its peer (the worker says so, after it has received all there was), the
// connection is closed and the source is asked for the next one.

import CLinux
import Glibc
import Synchronization

final class ConnectionControl: SocketControl {
    typealias Negotiate = @Sendable (PeerCredentials?) -> any PlugNegotiation

    /// A peer may take so long to say what it wants.
    private static let negotiationMilliseconds = 5000
    /// Refusals are news so often.
    private static let refusalInterval: UInt64 = 1_000_000_000

    private struct Connection {
        var number: UInt64
        var descriptor: Int32
        var name: String
        var negotiation: (any PlugNegotiation)?
        var deadline: UInt64?
        /// The line's number for it while frames pass.
        var generation: UInt64?
        var since: UInt64
    }

    private struct State {
        var isOpen = false
        var connection: Connection?
        var nextNumber: UInt64 = 1
        var lastRefusal: UInt64 = 0
        /// The status tells why a peer that may be there cannot be reached.
        var hasObstacle = false
    }

    private let label: String
    private let line: SocketLine
    private let status: PeerStatus
    private let source: any PeerSource
    private let negotiate: Negotiate?
    private let loop: PeerLoop
    private let state = Mutex(State())

    /// - Parameter label: the protocol, for the state.
    init(
        _ label: String, line: SocketLine, status: PeerStatus, source: any PeerSource,
        negotiate: Negotiate? = nil, loop: PeerLoop
    ) {
        self.label = label
        self.line = line
        self.status = status
        self.source = source
        self.negotiate = negotiate
        self.loop = loop
    }

    func open() throws {
        state.withLock { $0.isOpen = true }
        status.publish(.waiting(source.waiting))
        try source.open(for: self)
    }

    func close() {
        state.withLock { state in
            state.isOpen = false
            _ = end(&state)
        }
        // Last, since a folder that it made must be empty.
        source.close()
    }

    // MARK: What the source says

    var demand: PeerDemand {
        state.withLock { state in
            guard let connection = state.connection else { return .wanted }
            return UnixEndpoint.hasHungUp(connection.descriptor) ? .later : .refused
        }
    }

    /// Nobody is there yet; why, if that is not the usual reason.
    func found(nothing reason: String?) {
        state.withLock { state in
            guard state.isOpen, state.connection == nil else { return }
            if let reason {
                status.publish(.waiting("\(source.waiting): \(reason)"))
            } else if state.hasObstacle {
                status.publish(.waiting(source.waiting))
            }
            state.hasObstacle = reason != nil
        }
    }

    /// Takes a connection, which is the control's from now on.
    func take(_ peer: Int32) {
        let failure = state.withLock { state -> UInt64? in
            guard state.isOpen, state.connection == nil else {
                Glibc.close(peer)
                return nil
            }
            let credentials = PeerCredentials(of: peer)
            let number = state.nextNumber
            state.nextNumber += 1
            state.connection = Connection(
                number: number, descriptor: peer, name: credentials?.name ?? "the peer",
                negotiation: negotiate?(credentials), since: WorkerThread.monotonicNanoseconds())
            guard let negotiation = state.connection?.negotiation else {
                serve(peer, &state)
                return nil
            }
            loop.watch(peer, EPOLLIN.rawValue) { [weak self] _ in self?.ready(number) }
            state.connection?.deadline = loop.after(milliseconds: Self.negotiationMilliseconds) {
                [weak self] in self?.expire(number)
            }
            return proceed(negotiation.begin(on: peer), &state)
        }
        if let failure { source.seek(after: failure) }
    }

    /// Closes a connection that came while there is a peer.
    func refuse(_ peer: Int32) {
        let name = PeerCredentials(of: peer)?.name ?? "another peer"
        Glibc.close(peer)
        state.withLock { state in
            let now = WorkerThread.monotonicNanoseconds()
            guard let connection = state.connection, connection.generation != nil,
                state.lastRefusal == 0 || now &- state.lastRefusal > Self.refusalInterval
            else { return }
            state.lastRefusal = now
            status.publish(
                .connected(
                    "\(connected(connection)); \(name) was refused: one peer at a time"))
        }
    }

    // MARK: What the line says

    func lost(_ generation: UInt64, _ loss: PeerLoss) {
        let lasted = state.withLock { state -> UInt64? in
            guard state.isOpen, let connection = state.connection,
                connection.generation == generation
            else { return nil }
            let lasted = end(&state)
            let sentence = "\(source.waiting): \(connection.name) \(loss.clause)"
            status.publish(loss.isFault ? .failed(sentence) : .waiting(sentence))
            return lasted
        }
        if let lasted { source.seek(after: lasted) }
    }

    // MARK: What the connection says

    private func ready(_ number: UInt64) {
        let failure = state.withLock { state -> UInt64? in
            guard let connection = state.connection, connection.number == number,
                let negotiation = connection.negotiation
            else { return nil }
            if connection.generation == nil {
                return proceed(negotiation.advance(on: connection.descriptor), &state)
            }
            // Nothing is said any more; only the end is of interest.
            if UnixEndpoint.skip(connection.descriptor) {
                loop.unwatch(connection.descriptor)
                line.finish()
            }
            return nil
        }
        if let failure { source.seek(after: failure) }
    }

    private func expire(_ number: UInt64) {
        let failure = state.withLock { state -> UInt64? in
            guard let connection = state.connection, connection.number == number,
                connection.generation == nil
            else { return nil }
            return proceed(.refused("did not say what it wants"), &state)
        }
        if let failure { source.seek(after: failure) }
    }

    // MARK: Under the lock

    /// - Returns: how long the connection lasted, when this was its end.
    private func proceed(_ step: PlugStep, _ state: inout State) -> UInt64? {
        switch step {
        case .wait: return nil
        case .ready(let descriptor):
            serve(descriptor, &state)
            return nil
        case .refused(let clause):
            let name = state.connection?.name ?? "the peer"
            let lasted = end(&state)
            status.publish(.waiting("\(source.waiting): \(name) \(clause)"))
            return lasted
        }
    }

    private func serve(_ descriptor: Int32, _ state: inout State) {
        if let deadline = state.connection?.deadline { loop.cancel(deadline) }
        state.connection?.generation = line.attach(descriptor)
        state.lastRefusal = 0
        if let connection = state.connection { status.publish(.connected(connected(connection))) }
    }

    private func connected(_ connection: Connection) -> String {
        "connected (\(label), \(connection.name))"
    }

    private func end(_ state: inout State) -> UInt64 {
        guard let connection = state.connection else { return 0 }
        state.connection = nil
        if connection.generation != nil { line.detach() }
        if let deadline = connection.deadline { loop.cancel(deadline) }
        if connection.negotiation != nil { loop.unwatch(connection.descriptor) }
        connection.negotiation?.end()
        Glibc.close(connection.descriptor)
        return WorkerThread.monotonicNanoseconds() &- connection.since
    }
}
