/// What Heddle is at a Unix socket.
package enum SocketMode: String, Hashable, Sendable, CaseIterable {
    /// It connects to a socket that the other side made, again and again.
    case client
    /// It makes the socket and listens.
    case server
}
