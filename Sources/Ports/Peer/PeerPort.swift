import Dataplane

/// What a port knows of the process at its other end: for listings, a fragment of a sentence each.
package enum PeerState: Sendable, Equatable {
    /// Nobody is there; why, and what would have to happen.
    case waiting(String)
    /// Somebody is; what was agreed.
    case connected(String)
    /// Somebody was, and did what must not be: the port is down until the peer begins anew.
    case failed(String)

    package var isConnected: Bool {
        if case .connected = self { true } else { false }
    }
}

/// A port whose other end is a process that connects, leaves and comes back.
///
/// Threads: the owning worker calls what ``Port`` has; everything else happens on the thread of the
/// ``PeerLoop``, or on the control side's for ``open(onChange:)`` and ``close()``. A ``PortLock``
/// stands between them.
package protocol PeerPort: Port {
    var peerState: PeerState { get }
    /// Puts the port into service: it listens, or begins to connect and goes on trying. All or
    /// nothing; once only.
    ///
    /// - Parameter onChange: called on the loop's thread after each change of ``peerState``.
    func open(onChange: @escaping @Sendable (PeerState) -> Void) throws
    /// Takes it out of service for good: what it opened is closed, the socket's file that it made is
    /// removed. A worker may still call it, and finds nobody there.
    func close()
}
