/// Gathers the datagrams of a burst into messages for an ``Underlay``.
///
/// A datagram is one or two pieces: an encapsulation header that touches its frame, or headers made
/// for a segment and the segment's payload where it lies. Datagrams for one address and from one
/// source port become one message as long as they are of one length, which is what the kernel can
/// cut apart; a shorter one may end it.
///
/// Beside the datagrams it keeps *copies*: what each frame comes to in its port's counters, and
/// which messages carried it, so that the outcome of a message becomes that of its frames.
struct MessageWriter: ~Copyable {
    static let pieceCapacity = 2048
    static let messageCapacity = 256
    static let copyCapacity = 512
    /// Room for the headers of one segment: the encapsulation's, and Ethernet to transport with all
    /// options.
    static let headerStride = 192
    private static let headerCapacity = pieceCapacity / 2

    /// One frame on its way through one tunnel.
    struct Copy {
        var frame: UnsafeMutablePointer<Frame>
        var port: UInt16
        var domain: UInt16
        var segmentCount: UInt16
        /// Of a part that was sent already.
        var failure: DropReason
        var byteCount: UInt32
        var firstMessage: Int32
        var lastMessage: Int32
    }

    let pieces: UnsafeMutablePointer<OutgoingPiece>
    let messages: UnsafeMutablePointer<OutgoingMessage>
    let copies: UnsafeMutablePointer<Copy>
    private let headers: UnsafeMutableRawPointer
    private var pieceCount = 0
    private(set) var messageCount = 0
    private(set) var copyCount = 0
    private var headerCount = 0
    /// Whether the last message may get more datagrams.
    private var isOpen = false
    private var datagramCount = 0
    /// Length of the last message's first datagram.
    private var datagramByteCount = 0

    init() {
        pieces = .allocate(capacity: MessageWriter.pieceCapacity)
        messages = .allocate(capacity: MessageWriter.messageCapacity)
        copies = .allocate(capacity: MessageWriter.copyCapacity)
        headers = .allocate(
            byteCount: MessageWriter.headerCapacity * MessageWriter.headerStride, alignment: 64)
    }

    deinit {
        pieces.deallocate()
        messages.deallocate()
        copies.deallocate()
        headers.deallocate()
    }

    /// Whether another datagram, and another copy, may be added.
    @inline(__always)
    var hasRoom: Bool {
        pieceCount &+ 2 <= MessageWriter.pieceCapacity
            && messageCount < MessageWriter.messageCapacity
            && copyCount < MessageWriter.copyCapacity && headerCount < MessageWriter.headerCapacity
    }

    @inline(__always)
    var isEmpty: Bool { messageCount == 0 && copyCount == 0 }

    /// Memory for a segment's headers, which stays until the messages are sent.
    @inline(__always)
    mutating func takeHeader() -> UnsafeMutableRawPointer {
        defer { headerCount &+= 1 }
        return headers + headerCount &* MessageWriter.headerStride
    }

    /// Adds a datagram; `second` is empty when the first piece is all.
    ///
    /// - Parameter joins: whether it may join others in a message.
    @inline(__always)
    mutating func add(
        _ first: OutgoingPiece, _ second: OutgoingPiece, to destination: UnderlayAddress,
        from source: Int, joins: Bool
    ) {
        let byteCount = first.byteCount &+ second.byteCount
        (pieces + pieceCount).initialize(to: first)
        var added = 1
        if second.byteCount > 0 {
            (pieces + pieceCount + 1).initialize(to: second)
            added = 2
        }
        let last = messages + (messageCount &- 1)
        if isOpen, joins, byteCount <= datagramByteCount,
            datagramCount < OutgoingMessage.maximumSegmentCount,
            Int(last.pointee.byteCount) &+ byteCount <= OutgoingMessage.maximumByteCount,
            Int(last.pointee.source) == source, last.pointee.destination == destination
        {
            last.pointee.pieceCount &+= Int32(truncatingIfNeeded: added)
            last.pointee.byteCount &+= Int32(truncatingIfNeeded: byteCount)
            last.pointee.segmentByteCount = UInt16(truncatingIfNeeded: datagramByteCount)
            datagramCount &+= 1
            isOpen = byteCount == datagramByteCount
        } else {
            (messages + messageCount).initialize(
                to: OutgoingMessage(
                    destination: destination, firstPiece: pieceCount, pieceCount: added,
                    byteCount: byteCount, segmentByteCount: 0, source: source))
            messageCount &+= 1
            datagramCount = 1
            datagramByteCount = byteCount
            isOpen = joins
        }
        pieceCount &+= added
    }

    /// Begins a copy, whose datagrams are to follow.
    @inline(__always)
    mutating func beginCopy(
        port: UInt16, domain: UInt16, segmentCount: UInt16, byteCount: UInt32,
        frame: UnsafeMutablePointer<Frame>
    ) {
        (copies + copyCount).initialize(
            to: Copy(
                frame: frame, port: port, domain: domain, segmentCount: segmentCount,
                failure: .none,
                byteCount: byteCount, firstMessage: -1, lastMessage: -1))
    }

    /// Notes that the open copy's last datagram went into the last message.
    @inline(__always)
    mutating func noteDatagram() {
        let copy = copies + copyCount
        let last = Int32(truncatingIfNeeded: messageCount &- 1)
        if copy.pointee.firstMessage < 0 { copy.pointee.firstMessage = last }
        copy.pointee.lastMessage = last
    }

    @inline(__always)
    mutating func endCopy() { copyCount &+= 1 }

    /// What became of a copy.
    @inline(__always)
    func outcome(of copy: Copy) -> DropReason {
        if copy.failure != .none || copy.firstMessage < 0 { return copy.failure }
        for place in Int(copy.firstMessage)...Int(copy.lastMessage)
        where messages[place].outcome != .none { return messages[place].outcome }
        return .none
    }

    /// Forgets what was sent; a copy that is still open keeps what became of its first part.
    mutating func reset(keepingOpenCopy isCopyOpen: Bool) {
        if isCopyOpen {
            var open = copies[copyCount]
            open.failure = outcome(of: open)
            open.firstMessage = -1
            open.lastMessage = -1
            copies[0] = open
        }
        pieceCount = 0
        messageCount = 0
        copyCount = 0
        headerCount = 0
        isOpen = false
    }
}
