/// The file in which a back-end notes the buffers that it has taken and not given back, and which the
/// front-end keeps for the back-end's successor (vhost-user, "Inflight I/O tracking").
///
/// One part for each queue, of the size that the ring layout needs and rounded up to
/// ``alignment``, one after the other. The parts' contents are the rings' business: they are zero in
/// a new file.
struct InflightRegion {
    /// Parts begin at a multiple of a cache line, as other back-ends have it.
    static let alignment = 64
    /// Queues at most: a receive and a transmit queue for each of 16 pairs, and a control queue.
    static let queueLimit = 33

    /// QueueRegionSplit and QueueRegionPacked up to their arrays, and an element of each.
    private static let splitHeader = 16
    private static let splitDescriptor = 16
    private static let packedHeader = 32
    private static let packedDescriptor = 32

    let queueCount: Int
    let queueSize: Int
    let isPacked: Bool
    private let memory: any SharedMemory

    /// Bytes of a queue's part.
    static func partByteCount(queueSize: Int, isPacked: Bool) -> Int {
        let byteCount =
            isPacked
            ? packedHeader + queueSize * packedDescriptor
            : splitHeader + queueSize * splitDescriptor
        return (byteCount + alignment - 1) & ~(alignment - 1)
    }

    /// Bytes of a file for so many queues.
    ///
    /// - Throws: when the numbers are none that a front-end of a network device has.
    static func byteCount(_ inflight: VhostInflight, isPacked: Bool) throws(VhostFault) -> Int {
        guard (1...queueLimit).contains(Int(inflight.queueCount)),
            (1...32768).contains(Int(inflight.queueSize))
        else {
            throw VhostFault(
                "the front-end wants to track \(inflight.queueCount) queues of "
                    + "\(inflight.queueSize) buffers; 1 to \(queueLimit) of 1 to 32768 are possible"
            )
        }
        return Int(inflight.queueCount)
            * partByteCount(queueSize: Int(inflight.queueSize), isPacked: isPacked)
    }

    /// - Parameter memory: of the size that ``byteCount(_:isPacked:)`` says, at least.
    init(_ inflight: VhostInflight, isPacked: Bool, memory: any SharedMemory) {
        queueCount = Int(inflight.queueCount)
        queueSize = Int(inflight.queueSize)
        self.isPacked = isPacked
        self.memory = memory
        precondition(
            memory.byteCount
                >= queueCount
                * InflightRegion.partByteCount(queueSize: queueSize, isPacked: isPacked))
    }

    /// The part of a queue; nil when the file has none for a ring of this size and layout.
    func part(queue: Int, ringSize: Int, isPacked: Bool) -> UnsafeMutableRawPointer? {
        guard queue < queueCount, ringSize <= queueSize, isPacked == self.isPacked else {
            return nil
        }
        return memory.bytes
            + queue * InflightRegion.partByteCount(queueSize: queueSize, isPacked: isPacked)
    }
}
