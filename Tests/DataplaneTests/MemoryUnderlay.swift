@testable import Dataplane

/// A physical network in memory: datagrams go to the underlay that has their destination.
final class MemoryNetwork {
    private var members: [UnderlayAddress: MemoryUnderlay] = [:]

    func join(_ underlay: MemoryUnderlay) { members[underlay.address] = underlay }
    func member(_ address: UnderlayAddress) -> MemoryUnderlay? { members[address] }
}

/// An underlay in memory. Its owner is one test on one thread.
final class MemoryUnderlay: Underlay, @unchecked Sendable {
    // @unchecked: see above.

    struct Datagrams {
        var bytes: [UInt8]
        var segmentByteCount: Int
        var source: UnderlayAddress
        var isTruncated = false
    }

    let address: UnderlayAddress
    let segments: Bool
    let sourceCount: Int
    let pollDescriptor: Int32? = nil
    /// Whether datagrams of one message arrive together, as with GRO.
    let coalesces: Bool
    var inbox: [Datagrams] = []
    /// Every message sent, with its source port's number.
    var sent: [(source: Int, to: UnderlayAddress, datagrams: Datagrams)] = []
    /// Called for each message in place of delivery; returns the outcome.
    var outcome: ((OutgoingMessage) -> DropReason)?
    private let network: MemoryNetwork

    init(
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

    func receive(into batch: inout DatagramBatch) -> ReceiveOutcome {
        var place = 0
        while place < DatagramBatch.capacity, !inbox.isEmpty {
            let next = inbox.removeFirst()
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
            place += 1
        }
        return inbox.isEmpty ? .drained : .more
    }

    func transmit(
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
            if peer.coalesces {
                peer.inbox.append(datagrams)
            } else {
                for start in stride(from: 0, to: bytes.count, by: size) {
                    let datagram = Array(bytes[start..<min(start + size, bytes.count)])
                    peer.inbox.append(
                        Datagrams(
                            bytes: datagram, segmentByteCount: datagram.count, source: address))
                }
            }
        }
    }

    /// Puts a datagram in as if it came from the network.
    func inject(_ bytes: [UInt8], from source: UnderlayAddress, segmentByteCount: Int? = nil) {
        inbox.append(
            Datagrams(
                bytes: bytes, segmentByteCount: segmentByteCount ?? bytes.count, source: source))
    }
}
