/// Where connections come from: a socket that is listened at, or one that is connected to.
protocol PeerSource: AnyObject, Sendable {
    /// What is waited for, as a fragment of a sentence.
    var waiting: String { get }
    /// All or nothing.
    func open(for taker: ConnectionControl) throws
    /// A peer is wanted: again, after one that was there for `nanoseconds`.
    func seek(after nanoseconds: UInt64)
    func close()
}

/// What the port would do with another connection.
enum PeerDemand {
    case wanted
    /// It has a peer.
    case refused
    /// It has one that has hung up, and is about to find out.
    case later
}
