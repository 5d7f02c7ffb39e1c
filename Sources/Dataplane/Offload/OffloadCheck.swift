import Wire

// Whether an offload makes sense for its frame.
//
// A guest may write anything into the header beside its frame. Taken at its word, a checksum
// offset lets it rewrite its own source address behind the port's policy, a GSO size of one byte
// makes 65,000 frames of one, and a type that does not match the headers is refused by the next
// kernel with an error that nobody can explain. So the headers are parsed here, and the offload
// has to agree with them:
//
// - A checksum must go where the packet's protocol has one, or, in a tunnel, somewhere behind the
//   outer transport header. It never goes into an Ethernet, IP or ARP header. SCTP is refused: its
//   checksum is a CRC that this offload cannot describe.
// - GSO needs the checksum offload (virtio 1.3 section 5.1.6.2), exactly at the transport header,
//   and a packet that is no fragment. The lengths in the IP and UDP headers do not matter: every
//   segment gets its own.
// - A frame has at most `maximumSegmentCount` segments.
//
// Costs one parse of the headers for frames with an offload, and two compares for those without.

/// What an offload asks for, once it was found to fit its frame.
package enum OffloadFinding: Equatable, Sendable {
    /// The frame is complete.
    case plain
    /// One checksum is to be completed.
    case checksumOnly
    /// The frame is to be cut into segments, each with checksums of its own.
    case gso(GSOGeometry)
    case invalid(OffloadFault)
}

/// How a super-frame falls into segments.
package struct GSOGeometry: Equatable, Sendable {
    /// Offset of the IP header.
    package var networkOffset: Int
    /// Offset of the TCP or UDP header.
    package var transportOffset: Int
    /// Ethernet to transport header: what every segment repeats.
    package var headerByteCount: Int
    package var payloadByteCount: Int
    /// Payload of every segment but the last.
    package var gsoSize: Int
    package var segmentCount: Int
    package var isIPv6: Bool
    package var isTCP: Bool

    /// The longest segment as an IP packet: what an MTU is compared with.
    package var maximumSegmentIPByteCount: Int {
        headerByteCount - networkOffset + min(gsoSize, payloadByteCount)
    }

    /// The longest segment as a frame: what a buffer must hold.
    package var maximumSegmentByteCount: Int { headerByteCount + min(gsoSize, payloadByteCount) }
}

/// Why an offload does not fit its frame.
package enum OffloadFault: UInt8, CaseIterable, Equatable, Sendable {
    /// A header is cut off or malformed.
    case malformedHeaders
    /// The checksum's start or place is outside of the frame.
    case checksumOutsideFrame
    /// The checksum would be written where the packet has none.
    case checksumMisplaced
    /// GSO without the checksum offload.
    case gsoWithoutChecksum
    /// A GSO type that was never offered.
    case unknownGSOType
    /// The headers are not those of the GSO type.
    case gsoTypeMismatch
    /// A GSO size of zero, or one that makes segments longer than an IP packet can be.
    case gsoSizeOutOfRange
    /// More segments than an honest sender makes.
    case tooManySegments
}

extension OffloadFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformedHeaders: "the frame's headers are cut off or malformed"
        case .checksumOutsideFrame: "the checksum offload points outside of the frame"
        case .checksumMisplaced: "the checksum offload points where the packet has no checksum"
        case .gsoWithoutChecksum: "segmentation is asked for without the checksum offload"
        case .unknownGSOType: "the segmentation type is not one that was offered"
        case .gsoTypeMismatch: "the segmentation type does not match the frame's headers"
        case .gsoSizeOutOfRange: "the segment size is zero or too large"
        case .tooManySegments: "the frame would make too many segments"
        }
    }
}

extension Offload {
    /// A 64 KiB frame of 32-byte segments; TCP's smallest common segment is 536 bytes.
    package static let maximumSegmentCount = 2048

    /// Decides whether the offload fits the frame. `headers` is the frame or its start, as much as
    /// has been copied out of foreign memory; `byteCount` is the length of the whole frame.
    package func check(
        _ headers: UnsafeRawBufferPointer, byteCount: Int
    ) -> OffloadFinding {
        guard isPending else { return .plain }
        guard needsChecksum else { return .invalid(.gsoWithoutChecksum) }
        let start = Int(checksumStart)
        let field = start + Int(checksumOffset)
        guard field + 2 <= byteCount else { return .invalid(.checksumOutsideFrame) }
        guard headers.count <= byteCount, let layout = FrameLayout(headers) else {
            return .invalid(.malformedHeaders)
        }
        if gsoType == Self.gsoNone {
            return Self.hasChecksum(layout, start: start, field: field)
                ? .checksumOnly : .invalid(.checksumMisplaced)
        }
        return checkGSO(layout, headers, byteCount: byteCount)
    }

    /// As `check(_:byteCount:)` for a frame that is all there.
    package func check(_ frame: UnsafeRawBufferPointer) -> OffloadFinding {
        check(frame, byteCount: frame.count)
    }

    /// What is kept of the offload of a complete frame: positions mean nothing there.
    @inline(__always)
    var plain: Offload {
        Offload(flags: flags & Self.dataValid, checksumStart: 0, checksumOffset: 0)
    }

    /// Checks the offload and, when it fits, keeps of it only what was verified: the header length,
    /// which the kernel takes at its word (a TUN device refuses a frame shorter than it), becomes
    /// the parsed one, and a plain frame loses positions that mean nothing. What a port passes on
    /// has been through this once, at ingress.
    package mutating func admit(
        _ headers: UnsafeRawBufferPointer, byteCount: Int
    ) -> OffloadFinding {
        let finding = check(headers, byteCount: byteCount)
        switch finding {
        case .plain:
            self = plain
        case .checksumOnly:
            headerByteCount = 0
            gsoSize = 0
        case .gso(let geometry):
            headerByteCount = UInt16(clamping: geometry.headerByteCount)
        case .invalid:
            break
        }
        return finding
    }

    /// Whether the packet has, or behind its outer headers may have, a checksum at `field` over
    /// what begins at `start`.
    private static func hasChecksum(_ layout: FrameLayout, start: Int, field: Int) -> Bool {
        let transport = layout.transportOffset
        switch layout.network {
        case .arp:
            return false
        case .other:
            return start >= layout.networkOffset
        case .ipv4, .ipv6:
            guard !layout.isFragment, start >= transport else { return false }
            switch layout.transportProtocol {
            case .tcp: return start == transport && field == transport + 16
            case .udp: return start == transport ? field == transport + 6 : start >= transport + 8
            case .icmp, .icmpv6: return start == transport && field == transport + 2
            case .sctp: return false
            default: return true
            }
        }
    }

    private func checkGSO(
        _ layout: FrameLayout, _ headers: UnsafeRawBufferPointer, byteCount: Int
    ) -> OffloadFinding {
        let hasECN = gsoType & Self.gsoECN != 0
        let isTCP: Bool
        let isMatch: Bool
        switch gsoType & ~Self.gsoECN {
        case Self.gsoTCPv4:
            isTCP = true
            isMatch = layout.network == .ipv4 && layout.transportProtocol == .tcp
        case Self.gsoTCPv6:
            isTCP = true
            isMatch = layout.network == .ipv6 && layout.transportProtocol == .tcp
        case Self.gsoUDP where !hasECN:
            isTCP = false
            isMatch =
                (layout.network == .ipv4 || layout.network == .ipv6)
                && layout.transportProtocol == .udp
        default:
            return .invalid(.unknownGSOType)
        }
        // A routing header hides the destination that the checksum covers.
        guard isMatch, !layout.isFragment, !layout.hasRoutingHeader else {
            return .invalid(.gsoTypeMismatch)
        }
        guard Int(checksumStart) == layout.transportOffset,
            checksumOffset == (isTCP ? 16 : 6)
        else { return .invalid(.checksumMisplaced) }

        let transport = headers.bytes.extracting(droppingFirst: layout.transportOffset)
        let transportByteCount: Int
        if isTCP {
            guard let tcp = TCPView(transport) else { return .invalid(.malformedHeaders) }
            // These belong to one segment only; copied to all, they break the connection.
            guard tcp.flags.isDisjoint(with: [.syn, .rst]) else {
                return .invalid(.gsoTypeMismatch)
            }
            transportByteCount = tcp.headerByteCount
        } else {
            guard transport.byteCount >= UDPView.headerByteCount else {
                return .invalid(.malformedHeaders)
            }
            transportByteCount = UDPView.headerByteCount
        }
        let headerByteCount = layout.transportOffset + transportByteCount
        let payloadByteCount = byteCount - headerByteCount
        let gsoSize = Int(self.gsoSize)
        guard gsoSize > 0, headerByteCount - layout.networkOffset + gsoSize <= 0xFFFF else {
            return .invalid(.gsoSizeOutOfRange)
        }
        let segmentCount = max(1, (payloadByteCount + gsoSize - 1) / gsoSize)
        guard segmentCount <= Self.maximumSegmentCount else { return .invalid(.tooManySegments) }
        return .gso(
            GSOGeometry(
                networkOffset: layout.networkOffset, transportOffset: layout.transportOffset,
                headerByteCount: headerByteCount, payloadByteCount: payloadByteCount,
                gsoSize: gsoSize, segmentCount: segmentCount,
                isIPv6: layout.network == .ipv6, isTCP: isTCP))
    }
}
