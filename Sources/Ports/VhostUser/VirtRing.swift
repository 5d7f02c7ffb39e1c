/// Flags of descriptors (virtio 1.3 §2.7.5 and §2.8.1).
enum DescriptorFlag {
    static let next: UInt16 = 1
    static let write: UInt16 = 2
    static let indirect: UInt16 = 4
    /// Packed only: these two tell whose the descriptor is.
    static let available: UInt16 = 1 << 7
    static let used: UInt16 = 1 << 15
}

/// The first descriptor of a chain, as it was loaded: once.
///
/// Passed by pointer: copied as a whole right after it was written field by field, it would make the
/// processor wait for the stores: 8 of 58 ns that a short frame took from guest to guest.
struct ChainHead: BitwiseCopyable {
    var address: UInt64
    var byteCount: UInt32
    var flags: UInt16
    /// What the driver knows the chain by. Split: its first descriptor; packed: the buffer ID, which
    /// the last descriptor of a chain has.
    var id: UInt16
    /// Split: the descriptor that follows, with the next flag. Packed: where the head lies.
    var next: UInt16
    /// Packed: descriptors of the ring that the chain takes up.
    var slots: UInt16
    /// An earlier back-end had taken it and not returned.
    var isResubmitted: Bool
    /// The chain's bytes, if it is a single descriptor of the right kind in one piece.
    var bytes: UnsafeMutableRawPointer?
}

/// A chain that is done with and not yet returned to the driver.
struct UsedElement: BitwiseCopyable {
    var id: UInt16
    var slots: UInt16
    /// Its entry in the region of buffers in flight.
    var entry: UInt16
    /// Bytes written to it; 0 for one that was only read.
    var byteCount: UInt32
}

/// The next descriptor of a chain.
enum NextDescriptor {
    case descriptor(address: UInt64, byteCount: UInt32, flags: UInt16, next: UInt16, id: UInt16)
    case fault(VirtQueueFault)
}

/// What the data path needs of a ring, be it split or packed: generic code over it is specialised
/// for both.
///
/// A ring has a position, where the next chain will be taken, and chains that were taken are returned
/// in that order. Reading ahead of the position changes nothing.
protocol VirtRing: BitwiseCopyable {
    /// Where the next chain is taken: to come back to when a frame does not fit after all.
    associatedtype Position: BitwiseCopyable
    var position: Position { get set }
    var size: Int { get }
    /// Chains take up several places of a packed ring, and its indirect tables are read from start to
    /// end, without links.
    static var isPacked: Bool { get }
    /// What was wrong, when ``loadHeads(into:limit:)`` says so.
    var fault: VirtQueueFault? { get }

    /// Loads the heads of available chains from the position on; -1 for a fault.
    mutating func loadHeads(
        into heads: UnsafeMutablePointer<ChainHead>, limit: Int
    ) -> Int
    /// Loads the descriptor that follows in a chain, the `count`th after its head.
    func loadNext(_ next: UInt16, count: Int, in head: ChainHead) -> NextDescriptor
    /// Moves the position behind a chain.
    mutating func take(_ head: UnsafePointer<ChainHead>)
    /// Notes in the region of buffers in flight, if there is one, that a chain was taken: its entry
    /// there.
    mutating func noteInflight(_ head: UnsafePointer<ChainHead>) -> UInt16
    /// Returns chains to the driver, all at once for it.
    mutating func publish(_ elements: UnsafeMutablePointer<UsedElement>, count: Int)

    /// Whether the driver wants to be told of what was returned since this was asked last.
    mutating func wantsCall() -> Bool
    /// Asks to be told when a chain becomes available; false when one is.
    mutating func enableKicks() -> Bool
    mutating func disableKicks()
}
