/// An underlay that takes each message apart as a kernel would, and stops at one that a kernel would
/// refuse or cut wrongly.
final class FuzzUnderlay: Underlay, @unchecked Sendable {
    // @unchecked: one thread runs all of it.

    struct Arrival {
        var bytes: [UInt8]
        var segmentByteCount: Int
        var source: UnderlayAddress
        var isTruncated: Bool
    }

    struct Datagram {
        var destination: UnderlayAddress
        var bytes: ArraySlice<UInt8>
        var outcome: DropReason
    }

    let segments: Bool
    let sourceCount: Int
    let pollDescriptor: Int32? = nil
    var arrivals: [Arrival] = []
    var sent: [Datagram] = []
    /// Of each message, a bit by its place modulo eight: whether it fails.
    var failures: UInt8 = 0
    var failure = DropReason.egressFull

    init(segments: Bool, sourceCount: Int) {
        self.segments = segments
        self.sourceCount = sourceCount
    }

    func receive(into batch: inout DatagramBatch) -> ReceiveOutcome {
        let count = min(arrivals.count, DatagramBatch.capacity)
        for (place, arrival) in arrivals.prefix(count).enumerated() {
            let buffer = batch.buffer(place)
            arrival.bytes.withUnsafeBytes {
                if let base = $0.baseAddress { buffer.copyMemory(from: base, byteCount: $0.count) }
            }
            batch.append(
                IncomingMessage(
                    bytes: buffer, byteCount: arrival.bytes.count,
                    segmentByteCount: arrival.segmentByteCount, source: arrival.source,
                    isTruncated: arrival.isTruncated))
        }
        arrivals.removeFirst(count)
        return arrivals.isEmpty ? .drained : .more
    }

    func transmit(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>,
        pieces: UnsafeMutablePointer<OutgoingPiece>
    ) {
        precondition(!messages.isEmpty, "a call for nothing")
        for index in messages.indices {
            let message = messages[index]
            precondition(Int(message.source) < sourceCount, "no such source port")
            precondition(message.firstPiece >= 0 && message.pieceCount > 0)
            var bytes: [UInt8] = []
            for place in 0..<Int(message.pieceCount) {
                let piece = pieces[Int(message.firstPiece) + place]
                precondition(piece.byteCount > 0, "an empty piece")
                bytes += UnsafeRawBufferPointer(start: piece.bytes, count: piece.byteCount)
            }
            precondition(bytes.count == Int(message.byteCount), "pieces and length differ")
            precondition(bytes.count <= OutgoingMessage.maximumByteCount, "longer than UDP takes")
            let size =
                message.segmentByteCount == 0 ? bytes.count : Int(message.segmentByteCount)
            precondition(segments || size == bytes.count, "nobody cuts this")
            precondition(
                (bytes.count + size - 1) / size <= OutgoingMessage.maximumSegmentCount,
                "more segments than a kernel takes")
            let outcome = failures >> UInt8(index & 7) & 1 == 1 ? failure : .none
            messages[index].outcome = outcome
            for start in stride(from: 0, to: bytes.count, by: size) {
                sent.append(
                    Datagram(
                        destination: message.destination,
                        bytes: bytes[start..<min(start + size, bytes.count)], outcome: outcome))
            }
        }
    }
}
