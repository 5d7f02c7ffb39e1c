/// A piece of guest memory in a buffer that a driver offers.
package struct VirtioPiece: Equatable, Sendable {
    package var address: UInt64
    package var byteCount: Int
    package var isWritable: Bool

    package init(_ address: UInt64, _ byteCount: Int, isWritable: Bool) {
        self.address = address
        self.byteCount = byteCount
        self.isWritable = isWritable
    }
}

/// How a buffer's descriptors are laid out.
package enum VirtioLayout: Equatable, Sendable, CaseIterable {
    /// Linked in the ring.
    case chain
    /// In a table, to which one descriptor refers.
    case table
    /// Split only: the first in the ring, the others in a table.
    case mixed
}

/// A virtqueue seen from its driver: written from the standard alone, and sharing no code with the
/// device under test.
package protocol VirtioFrontEndQueue: AnyObject {
    var size: Int { get }
    var descriptors: UnsafeMutableRawPointer { get }
    var driverArea: UnsafeMutableRawPointer { get }
    var deviceArea: UnsafeMutableRawPointer { get }
    /// Where all of the used entries lie for the guest: the used ring, or the descriptor ring.
    var usedAddress: UInt64 { get }
    /// Descriptors that are free.
    var freeCount: Int { get }
    /// What GET_VRING_BASE of a device that has nothing in flight must say.
    var base: UInt32 { get }

    /// Puts a buffer into the ring, not yet visible; false when there is no room.
    func add(_ pieces: [VirtioPiece], token: Int, _ layout: VirtioLayout) -> Bool
    /// Makes visible what was added; true when the device wants a kick.
    func publish() -> Bool
    /// The next buffer that the device has returned.
    func takeUsed() -> (token: Int, byteCount: Int)?
    /// Wants to be told of used buffers; false when there is one already.
    func enableCalls() -> Bool
    func disableCalls()
    /// Whether the device has asked not to be told.
    var isKickSuppressed: Bool { get }
}
