import Wire

/// What a frame's sender left for its receiver to finish: a checksum, the cutting into segments, or
/// nothing. It has the meaning of `virtio_net_hdr_v1` (virtio 1.3 section 5.1.6), in host byte
/// order.
///
/// Every field comes from a guest and may be a lie; `check(_:byteCount:)` tells before any is used.
package struct Offload: Equatable, Sendable, BitwiseCopyable {
    /// `needsChecksum` and `dataValid`; other bits are dropped on load, as their features are never
    /// offered.
    package var flags: UInt8 = 0

    /// A `gso…` kind, with `gsoECN` or'ed in.
    package var gsoType: UInt8 = 0

    /// A hint that nothing relies on; receivers in the kernel want it to be plausible.
    package var headerByteCount: UInt16 = 0

    /// Payload bytes of each segment but the last.
    package var gsoSize: UInt16 = 0

    /// Where summing starts, from the start of the frame.
    package var checksumStart: UInt16 = 0

    /// Where the checksum goes, from `checksumStart`.
    package var checksumOffset: UInt16 = 0

    package static let needsChecksum: UInt8 = 1
    package static let dataValid: UInt8 = 2

    package static let gsoNone: UInt8 = 0
    package static let gsoTCPv4: UInt8 = 1
    package static let gsoTCPv6: UInt8 = 4
    package static let gsoUDP: UInt8 = 5
    package static let gsoECN: UInt8 = 0x80

    /// The length of the header on the wire.
    package static let wireByteCount = 12

    /// A frame that is complete as it stands.
    package static let none = Offload()

    package init() {}

    package init(
        flags: UInt8, gsoType: UInt8 = gsoNone, headerByteCount: UInt16 = 0, gsoSize: UInt16 = 0,
        checksumStart: UInt16, checksumOffset: UInt16
    ) {
        self.flags = flags
        self.gsoType = gsoType
        self.headerByteCount = headerByteCount
        self.gsoSize = gsoSize
        self.checksumStart = checksumStart
        self.checksumOffset = checksumOffset
    }

    /// Reads the twelve-byte little-endian header; the caller guarantees that it is readable. The
    /// number of buffers is not kept: it describes a receive queue and not the frame.
    package init(wire header: UnsafeRawPointer) {
        func load(_ offset: Int) -> UInt16 {
            UInt16(littleEndian: header.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
        }
        flags = header.load(as: UInt8.self) & (Self.needsChecksum | Self.dataValid)
        gsoType = header.load(fromByteOffset: 1, as: UInt8.self)
        headerByteCount = load(2)
        gsoSize = load(4)
        checksumStart = load(6)
        checksumOffset = load(8)
    }

    /// Writes the twelve-byte little-endian header; the caller guarantees that it is writable. One
    /// buffer is said to be used, as a device must that does not merge buffers (section 5.1.6.4);
    /// a TUN device skips that field.
    package func store(to header: UnsafeMutableRawPointer) {
        func store(_ value: UInt16, _ offset: Int) {
            header.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt16.self)
        }
        header.storeBytes(of: flags, as: UInt8.self)
        header.storeBytes(of: gsoType, toByteOffset: 1, as: UInt8.self)
        store(headerByteCount, 2)
        store(gsoSize, 4)
        store(checksumStart, 6)
        store(checksumOffset, 8)
        store(1, 10)
    }

    package var needsChecksum: Bool { flags & Self.needsChecksum != 0 }
    package var isGSO: Bool { gsoType & ~Self.gsoECN != Self.gsoNone }

    /// Whether somebody has still to do something before the frame may leave for a wire.
    package var isPending: Bool { needsChecksum || gsoType != Self.gsoNone }

    /// Moves the positions when `delta` bytes are put before the headers (a tag pushed, +4) or
    /// taken away (a tag popped, -4). A position that would leave the field's range stays at its
    /// end, where `check` finds it wanting.
    package mutating func shift(by delta: Int) {
        guard isPending else { return }
        checksumStart = UInt16(clamping: Int(checksumStart) + delta)
        if headerByteCount != 0 {
            headerByteCount = UInt16(clamping: Int(headerByteCount) + delta)
        }
    }
}
