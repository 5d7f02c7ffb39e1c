import Dataplane
import Glibc

/// How frames lie in what a socket carries. One worker at a time uses it, under the port's lock.
protocol FrameChannel: AnyObject {
    /// Appends waiting frames to the burst.
    func receive(from socket: Int32, into burst: inout Burst) -> ChannelOutcome
    /// Sends the entries in order and sets their outcomes; why the peer is lost, if it is.
    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>, to socket: Int32)
        -> PeerLoss?
    /// Goes on with what could not be sent before.
    func flush(to socket: Int32) -> PeerLoss?
    /// Whether ``flush(to:)`` has something to do.
    var hasOutput: Bool { get }
    /// Whether ``receive(from:into:)`` has something that the socket does not tell of.
    var hasInput: Bool { get }
    /// Messages that were no frames, ever.
    var malformedCount: UInt64 { get }
    /// Forgets the peer: another one comes.
    func reset()
}

/// What a receive call of a channel found.
enum ChannelOutcome {
    case more
    case drained
    case lost(PeerLoss)
}

/// Why a peer is no longer there.
enum PeerLoss: Equatable {
    case left
    /// It closed the connection before all of a frame had been sent.
    case leftInFrame
    /// It announced a frame of so many bytes.
    case malformed(UInt32)
    case system(Int32)

    /// Whether the peer did what must not be.
    var isFault: Bool {
        if case .malformed = self { true } else { false }
    }

    /// What the peer did: behind "it".
    var clause: String {
        switch self {
        case .left: "left"
        case .leftInFrame: "left in the middle of a frame"
        case .malformed(let length): "announced a frame of \(length) bytes"
        case .system(let code): "is gone: \(String(cString: strerror(code)))"
        }
    }
}
