/// A physical network in memory: datagrams go to the underlay that has their destination.
///
/// It stands in for sockets and wires in tests. Its owner is one thread.
package final class MemoryNetwork {
    private var members: [UnderlayAddress: MemoryUnderlay] = [:]

    package init() {}

    func join(_ underlay: MemoryUnderlay) { members[underlay.address] = underlay }
    func member(_ address: UnderlayAddress) -> MemoryUnderlay? { members[address] }
}

/// An underlay in memory. Its owner is one thread, its network's.
package final class MemoryUnderlay: Underlay, @unchecked Sendable {
    // @unchecked: see above.

    /// What travels as one message.
    package struct Datagrams {
        package var bytes: [UInt8]
        package var segmentByteCount: Int
        package var source: UnderlayAddress
        package var isTruncated = false
    }

    package let address: UnderlayAddress
    package let segments: Bool
    package let sourceCount: Int
    package let pollDescriptor: Int32? = nil
    /// Whether datagrams of one message arrive together, as with GRO.
    package let coalesces: Bool
    package var inbox: [Datagrams] = []
    /// Every message sent, with its source port's number.
    package var sent: [(source: Int, to: UnderlayAddress, datagrams: Datagrams)] = []
    /// Called for each message before delivery; returns the outcome.
    package var outcome: ((OutgoingMessage) -> DropReason)?
    private let network: MemoryNetwork

    package init(
        _ address: UnderlayAddress, on network: MemoryNetwork, segments: Bool = true,
        sourceCount: Int = 16, coalesces: Bool = true
    ) {
        self.address = address
        self.network = network
        self.segments = segments
        self.sourceCount = sourceCount
        self.coalesces = coalesces
        network.join(self)
    }

    package func receive(into batch: inout DatagramBatch) -> ReceiveOutcome {
        let count = min(inbox.count, DatagramBatch.capacity)
        for (place, next) in inbox.prefix(count).enumerated() {
            let buffer = batch.buffer(place)
            next.bytes.withUnsafeBytes { bytes in
                buffer.copyMemory(
                    from: bytes.baseAddress ?? UnsafeRawPointer(buffer), byteCount: bytes.count)
            }
            batch.append(
                IncomingMessage(
                    bytes: buffer, byteCount: next.bytes.count,
                    segmentByteCount: next.segmentByteCount, source: next.source,
                    isTruncated: next.isTruncated))
        }
        inbox.removeFirst(count)
        return inbox.isEmpty ? .drained : .more
    }

    package func transmit(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>,
        pieces: UnsafeMutablePointer<OutgoingPiece>
    ) {
        for index in messages.indices {
            let message = messages[index]
            var bytes: [UInt8] = []
            for place in 0..<Int(message.pieceCount) {
                let piece = pieces[Int(message.firstPiece) + place]
                bytes += UnsafeRawBufferPointer(start: piece.bytes, count: piece.byteCount)
            }
            precondition(bytes.count == Int(message.byteCount))
            let size =
                message.segmentByteCount == 0 ? bytes.count : Int(message.segmentByteCount)
            let datagrams = Datagrams(bytes: bytes, segmentByteCount: size, source: address)
            sent.append((Int(message.source), message.destination, datagrams))
            messages[index].outcome = outcome?(message) ?? .none
            guard messages[index].outcome == .none,
                let peer = network.member(message.destination)
            else { continue }
            peer.arrive(datagrams)
        }
    }

    private func arrive(_ datagrams: Datagrams) {
        guard !coalesces else {
            inbox.append(datagrams)
            return
        }
        let size = datagrams.segmentByteCount
        for start in stride(from: 0, to: datagrams.bytes.count, by: size) {
            let end = min(start + size, datagrams.bytes.count)
            inbox.append(
                Datagrams(
                    bytes: Array(datagrams.bytes[start..<end]), segmentByteCount: end - start,
                    source: datagrams.source))
        }
    }

    /// Puts a message in as if it came from the network.
    ///
    /// - Precondition: it has at most ``DatagramBatch/bufferByteCount`` bytes.
    package func inject(
        _ bytes: [UInt8], from source: UnderlayAddress, segmentByteCount: Int? = nil,
        isTruncated: Bool = false
    ) {
        precondition(bytes.count <= DatagramBatch.bufferByteCount)
        inbox.append(
            Datagrams(
                bytes: bytes, segmentByteCount: segmentByteCount ?? bytes.count, source: source,
                isTruncated: isTruncated))
    }
}
