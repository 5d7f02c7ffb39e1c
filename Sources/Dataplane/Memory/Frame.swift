import Wire

/// One received frame: where its bytes are and what is known about them.
///
/// A frame's bytes are kept *canonical*: its outermost 802.1Q tag (TPID 0x8100), if it had one, has
/// been popped into ``tci``, so that every later step finds the EtherType at offset 12. A tag is
/// written again at an egress that wants one, in front of the bytes and never into them, so the same
/// bytes serve many egress ports.
///
///     slot
///     ├── headroom, 128 bytes ──┤├────────── up to 64 KiB of frame ──────────┤
///                    vnet header ▲ bytes
///
/// A *borrowed* frame has only its first bytes in the slot, copied there once: they alone are parsed
/// and rewritten. The rest, its ``tail``, stays in memory of the lender (a guest, a mapped ring),
/// which may change it at any time, until the burst's last transmit. ``gather()`` ends the loan for
/// whoever needs all bytes in one piece.
///
/// The value is trivial (no references) and copied freely inside a burst; the slot that `bytes`
/// points into belongs to the burst.
package struct Frame {
    /// The first byte of the destination address.
    package var bytes: UnsafeMutableRawPointer
    /// Length of the canonical frame in bytes, without FCS.
    package var byteCount: UInt32
    /// PCP, DEI and VID of the popped tag (IEEE 802.1Q-2022 §9.6); 0 when untagged.
    package var tci: UInt16
    /// Frames that this one stands for on a wire: more than 1 for a super-frame.
    package var segmentCount: UInt16
    /// The bridge domain that a tunnel's VNI named; 0 for a frame that came by a port.
    package var domain: UInt16
    /// Segments in ``tail``; 0 for a frame that is all in its slot.
    package var tailCount: UInt16
    /// The layer-3 packet's length, or the longest segment's: what an MTU is compared with.
    package var packetByteCount: UInt32
    /// Bytes in all segments of ``tail``.
    package var tailByteCount: UInt32
    /// Unfinished work that the sender left to us: partial checksum, super-frame.
    package var offload: Offload
    /// What is borrowed: the frame's end, piece by piece.
    package var tail: UnsafePointer<FrameSegment>?

    package init(bytes: UnsafeMutableRawPointer, byteCount: Int, offload: Offload) {
        self.bytes = bytes
        self.byteCount = UInt32(truncatingIfNeeded: byteCount)
        self.tci = 0
        self.segmentCount = 1
        self.domain = 0
        self.tailCount = 0
        self.packetByteCount = 0
        self.tailByteCount = 0
        self.offload = offload
        self.tail = nil
    }

    /// The VLAN ID of the popped tag; 0 when untagged or priority-tagged.
    package var vid: UInt16 { tci & 0x0FFF }

    /// Whether a part of the frame lies in somebody else's memory.
    package var isBorrowed: Bool { tailCount != 0 }

    /// The canonical bytes that are in the slot: all of a frame that is not borrowed.
    package var buffer: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes, count: Int(byteCount &- tailByteCount))
    }

    /// Copies what is borrowed behind what is in the slot, which has room for it.
    package mutating func gather() {
        guard isBorrowed, let tail else { return }
        var end = bytes + Int(byteCount &- tailByteCount)
        for place in 0..<Int(tailCount) {
            end.copyMemory(from: tail[place].bytes, byteCount: tail[place].byteCount)
            end += tail[place].byteCount
        }
        tailCount = 0
        tailByteCount = 0
    }
}

/// Sizes of a frame slot, in bytes.
package enum SlotSize {
    /// Free space in front of a received frame: room for a vnet header, a tag and a tunnel header.
    package static let headroom = 128
    /// The largest frame: a 64 KiB GSO packet with Ethernet header and two tags.
    package static let maximumFrame = 65_535 + 14 + 8
    /// Bytes of a borrowed frame that are copied into its slot at most: every header that the switch
    /// looks at, unless a chain of IPv6 extension headers is very long.
    package static let borrowedHead = 256
    /// Distance from slot to slot. 17 pages plus three cache lines: with a whole number of pages
    /// the headers of all frames of a burst would compete for the same few L1 sets.
    package static let stride = 17 * 4096 + 192
    /// The vnet header that precedes a frame at ports that exchange offloads (virtio 1.3 §5.1.6).
    package static let vnetHeader = 12
}
