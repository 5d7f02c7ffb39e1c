/// The loop's half of a socket port: it finds the peer, gives its descriptor to the ``SocketLine``,
/// and finds the next one when that is gone.
///
/// Its state is behind a mutex, so that the control side may close it at any time; handlers of the loop
/// that come afterwards find it closed.
protocol SocketControl: AnyObject, Sendable {
    /// All or nothing: when it throws, nothing is left.
    func open() throws
    func close()
    /// The line no longer serves the peer of that number.
    func lost(_ generation: UInt64, _ loss: PeerLoss)
}

/// From a connection to the descriptor that frames pass, where these are not the same.
///
/// One for each connection, on the loop's thread. What it makes belongs to it until ``end()``.
protocol PlugNegotiation: AnyObject {
    /// The connection is there.
    func begin(on connection: Int32) -> PlugStep
    /// Something can be read from the connection.
    func advance(on connection: Int32) -> PlugStep
    /// Closes and removes what it made.
    func end()
}

enum PlugStep {
    case wait
    /// Frames pass this descriptor from now on.
    case ready(Int32)
    /// It comes to nothing: a clause behind "it".
    case refused(String)
}
