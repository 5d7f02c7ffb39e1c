import Wire

/// What the coalescer has to know of a frame, read in one pass over its headers.
struct CoalescerSegment {
    /// How a frame relates to the TCP flows that may be open.
    enum Finding {
        /// It belongs to no TCP flow.
        case unrelated
        /// It may belong to any: its ports cannot be seen, or its headers are odd.
        case unclear
        case segment(CoalescerSegment)
    }

    let base: UnsafeRawPointer
    let byteCount: Int
    let isIPv6: Bool
    /// Whether the headers allow merging; the checksums are still to be verified.
    private(set) var isMergeable = false
    /// Ethernet to TCP, options included; meaningful when mergeable, as is all that follows.
    private(set) var headerByteCount = 0

    static let networkOffset = EthernetView.minimumByteCount

    var transportOffset: Int { Self.networkOffset + (isIPv6 ? 40 : 20) }
    var payloadByteCount: Int { byteCount &- headerByteCount }
    var sequenceNumber: UInt32 { base.loadBigEndian(transportOffset &+ 4) }
    var isPush: Bool { base.load(fromByteOffset: transportOffset &+ 13, as: UInt8.self) & 8 != 0 }

    @inline(__always)
    static func read(_ frame: UnsafeRawBufferPointer) -> Finding {
        guard let base = frame.baseAddress, frame.count >= 34 else { return .unrelated }
        let etherType: UInt16 = base.loadBigEndian(12)
        if etherType == EtherType.ipv4.rawValue {
            guard base.load(fromByteOffset: 23, as: UInt8.self) == 6 else { return .unrelated }
            // 20 bytes of header; no fragment.
            guard frame.count >= 54, base.load(fromByteOffset: 14, as: UInt8.self) == 0x45,
                base.loadBigEndian(20, as: UInt16.self) & 0xBFFF == 0
            else { return .unclear }
            var segment = CoalescerSegment(base, frame.count, isIPv6: false)
            segment.judge(
                packetByteCount: Int(base.loadBigEndian(16, as: UInt16.self)),
                // Without DF the identification means something, and merging would lose it.
                isAtomic: base.loadBigEndian(20, as: UInt16.self) == 0x4000)
            return .segment(segment)
        }
        guard etherType == EtherType.ipv6.rawValue else { return .unrelated }
        switch base.load(fromByteOffset: 20, as: UInt8.self) {
        case 6:
            guard frame.count >= 74, base.load(fromByteOffset: 14, as: UInt8.self) >> 4 == 6 else {
                return .unclear
            }
            var segment = CoalescerSegment(base, frame.count, isIPv6: true)
            segment.judge(
                packetByteCount: 40 + Int(base.loadBigEndian(18, as: UInt16.self)), isAtomic: true)
            return .segment(segment)
        case 0, 43, 44, 51, 60, 135, 139, 140:
            // Extension headers, as in `IPv6View.transport()`.
            return .unclear
        default:
            return .unrelated
        }
    }

    @inline(__always)
    private init(_ base: UnsafeRawPointer, _ byteCount: Int, isIPv6: Bool) {
        self.base = base
        self.byteCount = byteCount
        self.isIPv6 = isIPv6
    }

    /// Decides whether the segment is an ordinary piece of a stream, alone in its frame.
    @inline(__always)
    private mutating func judge(packetByteCount: Int, isAtomic: Bool) {
        let transport = base + transportOffset
        headerByteCount =
            transportOffset &+ Int(transport.load(fromByteOffset: 12, as: UInt8.self) >> 4) &* 4
        let flags = transport.load(fromByteOffset: 13, as: UInt8.self)
        isMergeable =
            isAtomic && packetByteCount == byteCount &- Self.networkOffset
            && headerByteCount >= transportOffset &+ 20 && headerByteCount < byteCount
            && flags & ~0x08 == 0x10
    }

    /// Whether both belong to one TCP connection and direction.
    @inline(__always)
    func isSameFlow(as other: UnsafeRawPointer, isIPv6 isOtherIPv6: Bool) -> Bool {
        guard isIPv6 == isOtherIPv6 else { return false }
        if isIPv6 {
            return isEqual(other, 54, UInt32.self) && isEqual(other, 22, UInt64.self)
                && isEqual(other, 30, UInt64.self) && isEqual(other, 38, UInt64.self)
                && isEqual(other, 46, UInt64.self)
        }
        return isEqual(other, 34, UInt32.self) && isEqual(other, 26, UInt64.self)
    }

    /// Whether the headers of the same flow differ only in what segments of one super-frame differ
    /// in: lengths, identification, sequence number, PSH and checksums. Both are mergeable and
    /// have headers of one length.
    @inline(__always)
    func hasSameHeaders(as other: UnsafeRawPointer) -> Bool {
        guard isEqual(other, 0, UInt64.self), isEqual(other, 6, UInt64.self) else { return false }
        if isIPv6 {
            // Version, class and flow label; next header and hop limit.
            guard isEqual(other, 14, UInt32.self), isEqual(other, 20, UInt16.self) else {
                return false
            }
        } else {
            // Version and class; TTL and protocol.
            guard isEqual(other, 14, UInt16.self), isEqual(other, 22, UInt16.self) else {
                return false
            }
        }
        let transport = transportOffset
        // Acknowledgment; data offset; window; urgent pointer.
        guard isEqual(other, transport &+ 8, UInt32.self),
            isEqual(other, transport &+ 12, UInt8.self),
            isEqual(other, transport &+ 14, UInt16.self),
            isEqual(other, transport &+ 18, UInt16.self)
        else { return false }
        var offset = transport &+ 20
        while offset < headerByteCount {
            guard isEqual(other, offset, UInt32.self) else { return false }
            offset &+= 4
        }
        return true
    }

    /// Whether the IPv4 header's checksum, if there is one, is right.
    @inline(__always)
    func verifyNetworkHeader() -> Bool {
        if isIPv6 { return true }
        var sum = InternetChecksum()
        sum.add(base + Self.networkOffset, byteCount: 20)
        // All ones is the other way to write zero; a segmenter would not write it again.
        return sum.value == 0 && base.loadBigEndian(24, as: UInt16.self) != 0xFFFF
    }

    /// The sum of pseudo header and TCP header; with the payload's added it is 0xFFFF.
    @inline(__always)
    var headerSum: InternetChecksum {
        let transportByteCount = byteCount &- transportOffset
        var sum =
            isIPv6
            ? InternetChecksum.pseudoHeader(
                ipv6: base + Self.networkOffset, transportProtocol: .tcp,
                byteCount: transportByteCount)
            : InternetChecksum.pseudoHeader(
                ipv4: base + Self.networkOffset, transportProtocol: .tcp,
                byteCount: transportByteCount)
        sum.add(base + transportOffset, byteCount: headerByteCount &- transportOffset)
        return sum
    }

    /// Whether the TCP checksum is right, given the sum of everything that it covers.
    @inline(__always)
    func verifies(_ sum: InternetChecksum) -> Bool {
        sum.value == 0 && base.loadBigEndian(transportOffset &+ 16, as: UInt16.self) != 0xFFFF
    }

    /// Whether the TCP checksum holds the pseudo header's sum and is left to be finished.
    var isPartial: Bool {
        let pseudo =
            isIPv6
            ? InternetChecksum.pseudoHeader(
                ipv6: base + Self.networkOffset, transportProtocol: .tcp,
                byteCount: byteCount &- transportOffset)
            : InternetChecksum.pseudoHeader(
                ipv4: base + Self.networkOffset, transportProtocol: .tcp,
                byteCount: byteCount &- transportOffset)
        return base.loadBigEndian(transportOffset &+ 16, as: UInt16.self) == pseudo.folded
    }

    @inline(__always)
    private func isEqual<T: FixedWidthInteger & BitwiseCopyable>(
        _ other: UnsafeRawPointer, _ offset: Int, _ type: T.Type
    ) -> Bool {
        base.loadUnaligned(fromByteOffset: offset, as: type)
            == other.loadUnaligned(fromByteOffset: offset, as: type)
    }
}
