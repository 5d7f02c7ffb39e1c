/// Where encapsulated frames leave for the physical network and come from it: the sockets of one
/// encapsulation, seen from the dataplane.
///
/// A datagram here begins with the encapsulation's header (VXLAN, Geneve or GRE): what lies before
/// it, IP and UDP, is the kernel's. One worker owns an underlay and makes all calls to it; none of
/// them blocks.
package protocol Underlay: AnyObject, Sendable {
    /// Whether several datagrams of one length may be given to the kernel as one message
    /// (`UDP_SEGMENT`).
    var segments: Bool { get }
    /// Source ports to spread flows over, a power of two of at most 64; 1 where there are no ports.
    var sourceCount: Int { get }
    /// A descriptor that polls readable when `receive` has something; nil for an underlay that must
    /// be asked.
    var pollDescriptor: Int32? { get }
    /// Fills the empty batch with what is waiting.
    func receive(into batch: inout DatagramBatch) -> ReceiveOutcome
    /// Sends every message, in order, and sets each one's outcome.
    ///
    /// - Parameter pieces: what the messages' piece ranges refer to.
    func transmit(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>,
        pieces: UnsafeMutablePointer<OutgoingPiece>)
}

/// Received datagrams of one length that came together: one, or as many as the kernel coalesced.
package struct IncomingMessage: BitwiseCopyable {
    /// The first byte of the first encapsulation header.
    package var bytes: UnsafeMutableRawPointer
    /// Length of all datagrams together.
    package var byteCount: Int
    /// Length of each datagram but the last, which may be shorter; `byteCount` when it is one.
    package var segmentByteCount: Int
    /// Who sent them.
    package var source: UnderlayAddress
    /// Whether more arrived than the buffer held, so that the end is missing.
    package var isTruncated: Bool

    package init(
        bytes: UnsafeMutableRawPointer, byteCount: Int, segmentByteCount: Int,
        source: UnderlayAddress, isTruncated: Bool = false
    ) {
        self.bytes = bytes
        self.byteCount = byteCount
        self.segmentByteCount = segmentByteCount
        self.source = source
        self.isTruncated = isTruncated
    }
}

/// A piece of an outgoing message: of the same layout as the kernel's `struct iovec`.
package struct OutgoingPiece: BitwiseCopyable {
    package var bytes: UnsafeMutableRawPointer
    package var byteCount: Int

    package init(bytes: UnsafeMutableRawPointer, byteCount: Int) {
        self.bytes = bytes
        self.byteCount = byteCount
    }
}

/// One message for the kernel: a datagram, or several of one length that it cuts apart.
package struct OutgoingMessage: BitwiseCopyable {
    package var destination: UnderlayAddress
    package var firstPiece: Int32
    package var pieceCount: Int32
    package var byteCount: Int32
    /// Length of each datagram but the last, which may be shorter; 0 when the message is one.
    package var segmentByteCount: UInt16
    /// Which of the underlay's source ports to send from, below ``Underlay/sourceCount``.
    package var source: UInt16
    /// How it went: `.none` for sent, otherwise an egress drop reason. Set by the underlay.
    package var outcome: DropReason = .none

    package init(
        destination: UnderlayAddress, firstPiece: Int, pieceCount: Int, byteCount: Int,
        segmentByteCount: Int, source: Int
    ) {
        self.destination = destination
        self.firstPiece = Int32(truncatingIfNeeded: firstPiece)
        self.pieceCount = Int32(truncatingIfNeeded: pieceCount)
        self.byteCount = Int32(truncatingIfNeeded: byteCount)
        self.segmentByteCount = UInt16(truncatingIfNeeded: segmentByteCount)
        self.source = UInt16(truncatingIfNeeded: source)
    }

    /// The kernel's limits on one message that it is to cut apart (UDP_MAX_SEGMENTS; a UDP datagram
    /// over IPv4 less its headers, RFC 768).
    package static let maximumSegmentCount = 128
    package static let maximumByteCount = 65_507
}

/// Room for datagrams that are received together, each in a buffer of its own.
package struct DatagramBatch: ~Copyable {
    /// Messages in a batch at most.
    package static let capacity = 64
    /// The largest message, and from buffer to buffer: a multiple of no page size, so that the
    /// headers of all messages do not compete for the same cache sets.
    package static let bufferByteCount = 65_535
    private static let stride = 16 * 4096 + 192

    package private(set) var count = 0
    let messages: UnsafeMutablePointer<IncomingMessage>
    private let memory: UnsafeMutableRawPointer

    package init() {
        messages = .allocate(capacity: DatagramBatch.capacity)
        memory = .allocate(
            byteCount: DatagramBatch.capacity * DatagramBatch.stride, alignment: 4096)
    }

    deinit {
        messages.deallocate()
        memory.deallocate()
    }

    /// The buffer of message `place`, of ``bufferByteCount`` bytes; it may be written until a message
    /// in it has been appended.
    package func buffer(_ place: Int) -> UnsafeMutableRawPointer {
        precondition(place >= 0 && place < DatagramBatch.capacity)
        return memory + place * DatagramBatch.stride
    }

    /// Adds a message; messages are appended in the order of their buffers.
    package mutating func append(_ message: IncomingMessage) {
        precondition(count < DatagramBatch.capacity)
        (messages + count).initialize(to: message)
        count &+= 1
    }

    package mutating func clear() { count = 0 }
}
