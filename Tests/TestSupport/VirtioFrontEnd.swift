/// A network driver in a guest: posts buffers, sends and receives frames, and checks what the device
/// does by the standard (virtio 1.3 §5.1).
package final class VirtioFrontEnd {
    /// What a driver and its device agreed on, and how the driver lays out its buffers.
    package struct Options: Sendable, CustomStringConvertible {
        package var isPacked = false
        package var queueSize = 256
        package var isMergeable = true
        package var isModern = true
        package var hasEventIndex = true
        package var receiveLayout = VirtioLayout.chain
        /// Bytes of each descriptor of a receive buffer.
        package var receivePieces = [2048]
        /// Further features, as a mask.
        package var features: UInt64 = 0
        /// Split only: as after so many buffers.
        package var start: UInt16 = 0

        package init() {}

        package var description: String {
            (isPacked ? "packed" : "split") + (hasEventIndex ? ", event index" : ", flags")
        }

        package var headerByteCount: Int { isMergeable || isModern ? 12 : 10 }

        /// All of them: INDIRECT_DESC and ANY_LAYOUT always.
        package var mask: UInt64 {
            var mask: UInt64 = features | 1 << 28 | 1 << 27
            if isMergeable { mask |= 1 << 15 }
            if isModern { mask |= 1 << 32 }
            if hasEventIndex { mask |= 1 << 29 }
            if isPacked { mask |= 1 << 34 }
            return mask
        }
    }

    /// A received frame with the vnet header before it.
    package struct Received: Equatable {
        package var header: [UInt8]
        package var frame: [UInt8]
        package var bufferCount: Int
    }

    package let options: Options
    package let memory: VirtioFrontEndMemory
    /// By which the driver receives.
    package let receiveQueue: any VirtioFrontEndQueue
    package let transmitQueue: any VirtioFrontEndQueue
    private var receiveBuffers: [Int: [VirtioPiece]] = [:]
    private var nextToken = 1
    /// Tokens of frames that the device has.
    package private(set) var inFlight: Set<Int> = []
    private var freeTransmit: [Int: [UInt64]] = [:]
    private var transmitBuffers: [Int: (size: Int, address: UInt64)] = [:]

    package init(_ options: Options = Options(), memory: VirtioFrontEndMemory? = nil) {
        self.options = options
        let memory = memory ?? VirtioFrontEndMemory([1 << 26])
        self.memory = memory
        receiveQueue = VirtioFrontEnd.queue(options, memory)
        transmitQueue = VirtioFrontEnd.queue(options, memory)
    }

    package static func queue(
        _ options: Options, _ memory: VirtioFrontEndMemory
    ) -> any VirtioFrontEndQueue {
        options.isPacked
            ? VirtioFrontEndPacked(
                memory, size: options.queueSize, hasEventIndex: options.hasEventIndex)
            : VirtioFrontEndSplit(
                memory, size: options.queueSize, hasEventIndex: options.hasEventIndex,
                startingAt: options.start)
    }

    // MARK: Receiving

    /// Offers as many receive buffers as there is room for, up to `limit`; true for a wanted kick.
    @discardableResult
    package func post(_ limit: Int = .max) -> Bool {
        var count = 0
        while count < limit {
            let pieces = options.receivePieces.map {
                VirtioPiece(memory.allocate($0, alignment: 1), $0, isWritable: true)
            }
            guard post(pieces) else { break }
            count += 1
        }
        return receiveQueue.publish()
    }

    private func post(_ pieces: [VirtioPiece]) -> Bool {
        guard receiveQueue.freeCount >= pieces.count else { return false }
        guard receiveQueue.add(pieces, token: nextToken, options.receiveLayout) else {
            return false
        }
        receiveBuffers[nextToken] = pieces
        nextToken += 1
        return true
    }

    /// The frames that the device has delivered; their buffers are offered again unless told not to.
    package func receive(reposting: Bool = true) -> [Received] {
        var result: [Received] = []
        while let first = receiveQueue.takeUsed() {
            var bytes = take(first, reposting)
            precondition(bytes.count >= options.headerByteCount, "a header is missing")
            let header = Array(bytes.prefix(options.headerByteCount))
            var count = 1
            if options.headerByteCount == 12 {
                count = Int(header[10]) | Int(header[11]) << 8
                precondition(count >= 1, "a frame in no buffer")
                precondition(options.isMergeable || count == 1, "buffers were merged")
            }
            for _ in 1..<max(count, 1) {
                guard let next = receiveQueue.takeUsed() else {
                    preconditionFailure("a frame's buffers were not returned together")
                }
                bytes += take(next, reposting)
            }
            result.append(
                Received(
                    header: header, frame: Array(bytes.dropFirst(options.headerByteCount)),
                    bufferCount: count))
        }
        if reposting { _ = receiveQueue.publish() }
        return result
    }

    private func take(_ used: (token: Int, byteCount: Int), _ reposting: Bool) -> [UInt8] {
        guard let pieces = receiveBuffers.removeValue(forKey: used.token) else {
            preconditionFailure("an unknown buffer was returned")
        }
        precondition(used.byteCount > 0, "an empty buffer was returned")
        var bytes: [UInt8] = []
        for piece in pieces {
            bytes += memory.read(piece.address, min(piece.byteCount, used.byteCount - bytes.count))
        }
        precondition(bytes.count == used.byteCount, "more was written than there was room")
        if reposting {
            let isPosted = post(pieces)
            precondition(isPosted)
        }
        return bytes
    }

    // MARK: Sending

    /// Offers a frame, not visible until ``publish()``.
    ///
    /// - Parameter pieces: byte counts that header and frame are split into; what they leave over is
    ///   one more. Empty ones are allowed.
    /// - Returns: its token; nil when there is no room.
    package func send(
        _ frame: [UInt8], header: [UInt8]? = nil, pieces: [Int] = [],
        layout: VirtioLayout = .chain
    ) -> Int? {
        let bytes = (header ?? [UInt8](repeating: 0, count: options.headerByteCount)) + frame
        return sendRaw(bytes, pieces: pieces, layout: layout)
    }

    package func sendRaw(
        _ bytes: [UInt8], pieces: [Int] = [], layout: VirtioLayout = .chain
    ) -> Int? {
        let size = max(bytes.count, 1)
        let address = freeTransmit[size]?.popLast() ?? memory.allocate(size, alignment: 1)
        memory.write(bytes, at: address)
        var list: [VirtioPiece] = []
        var offset = 0
        for wanted in pieces {
            let count = min(wanted, bytes.count - offset)
            list.append(VirtioPiece(address + UInt64(offset), count, isWritable: false))
            offset += count
        }
        if offset < bytes.count || list.isEmpty {
            list.append(
                VirtioPiece(address + UInt64(offset), bytes.count - offset, isWritable: false))
        }
        guard transmitQueue.add(list, token: nextToken, layout) else {
            freeTransmit[size, default: []].append(address)
            return nil
        }
        transmitBuffers[nextToken] = (size, address)
        inFlight.insert(nextToken)
        nextToken += 1
        return nextToken - 1
    }

    /// True when the device wants a kick.
    @discardableResult
    package func publish() -> Bool { transmitQueue.publish() }

    /// Takes back what was sent: tokens, in the device's order.
    @discardableResult
    package func reclaim() -> [Int] {
        var tokens: [Int] = []
        while let used = transmitQueue.takeUsed() {
            precondition(inFlight.remove(used.token) != nil, "a frame was returned twice")
            precondition(used.byteCount == 0, "a frame that was sent was written to")
            if let buffer = transmitBuffers.removeValue(forKey: used.token) {
                freeTransmit[buffer.size, default: []].append(buffer.address)
            }
            tokens.append(used.token)
        }
        return tokens
    }
}
