/// One copy of a frame on its way out of a port: a vnet header and the frame's bytes in pieces.
///
///     untagged   head: vnet header ‖ whole frame                    body: empty
///     tagged     head: vnet header ‖ addresses ‖ 802.1Q tag         body: EtherType and payload
///     borrowed   as above for what is in the slot                   tail: the lender's pieces
///
/// Only a port that says so (``Port/takesSegments``) gets entries with a tail.
///
/// A port whose peer takes no vnet header starts ``SlotSize/vnetHeader`` bytes into the head. The
/// memory stays valid until `transmit` returns.
package struct TransmitEntry {
    package var head: UnsafeMutableRawPointer
    /// Bytes at `head`, the vnet header included.
    package var headByteCount: Int
    package var body: UnsafeMutableRawPointer
    /// Bytes at `body`; 0 when the head is all.
    package var bodyByteCount: Int
    /// Pieces of lent memory that follow the body.
    package var tail: UnsafePointer<FrameSegment>? = nil
    /// Bytes in all of them.
    package var tailByteCount: UInt32 = 0
    package var tailCount: UInt16 = 0
    /// How it went: `.none` for transmitted, otherwise an egress drop reason. Set by the port.
    package var outcome: DropReason

    /// A whole frame, untagged: writes its vnet header into its headroom.
    @inline(__always)
    static func writingHeader(of frame: Frame) -> TransmitEntry {
        let head = frame.bytes - SlotSize.vnetHeader
        frame.offload.store(to: head)
        return TransmitEntry(
            head: head, headByteCount: frame.buffer.count + SlotSize.vnetHeader,
            body: frame.bytes, bodyByteCount: 0, tail: frame.tail,
            tailByteCount: frame.tailByteCount, tailCount: frame.tailCount, outcome: .none)
    }

    package init(
        head: UnsafeMutableRawPointer, headByteCount: Int, body: UnsafeMutableRawPointer,
        bodyByteCount: Int, tail: UnsafePointer<FrameSegment>? = nil, tailByteCount: UInt32 = 0,
        tailCount: UInt16 = 0, outcome: DropReason
    ) {
        self.head = head
        self.headByteCount = headByteCount
        self.body = body
        self.bodyByteCount = bodyByteCount
        self.tail = tail
        self.tailByteCount = tailByteCount
        self.tailCount = tailCount
        self.outcome = outcome
    }

    /// Length of the frame on the wire, without vnet header and FCS.
    package var frameByteCount: Int {
        headByteCount - SlotSize.vnetHeader + bodyByteCount + Int(tailByteCount)
    }

    /// The frame's first piece, without the vnet header.
    package var frameHead: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: head + SlotSize.vnetHeader, count: headByteCount - SlotSize.vnetHeader)
    }

    /// Copies the frame, without vnet header, to `destination`, at most `capacity` bytes; returns
    /// how many.
    package func copyFrame(to destination: UnsafeMutableRawPointer, capacity: Int) -> Int {
        let first = min(headByteCount - SlotSize.vnetHeader, capacity)
        destination.copyMemory(from: head + SlotSize.vnetHeader, byteCount: first)
        let second = min(bodyByteCount, capacity - first)
        if second > 0 {
            (destination + first).copyMemory(from: body, byteCount: second)
        }
        var copied = first + second
        for place in 0..<Int(tailCount) {
            guard let piece = tail?[place], copied < capacity else { break }
            let byteCount = min(piece.byteCount, capacity - copied)
            (destination + copied).copyMemory(from: piece.bytes, byteCount: byteCount)
            copied += byteCount
        }
        return copied
    }
}
