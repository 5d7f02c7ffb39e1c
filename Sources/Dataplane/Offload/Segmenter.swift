import Wire

// Software segmentation: what a network card does with a TSO or USO super-frame.
//
// Every segment repeats the headers and takes the next `gsoSize` bytes of payload; then only what
// must differ is patched:
//
// - IPv4: total length, identification (counted up, as receivers that reassemble need it) and
//   header checksum. IPv6: payload length.
// - TCP: sequence number; FIN and PSH stay on the last segment only, and CWR on the first only
//   (RFC 3168 section 6.1.2: one reduction, said once).
// - UDP: length.
// - The transport checksum, computed anew over pseudo header, header and payload; the partial sum
//   that the sender left is not used.
//
// Nothing is allocated. Where the payload is copied, it is copied first and summed from the copy,
// which is then in the nearest cache and, unlike a guest's memory, cannot change between the two.

/// Cuts one super-frame into frames that any wire takes.
package struct Segmenter {
    private let frame: UnsafeRawBufferPointer
    package let geometry: GSOGeometry
    private var index = 0

    /// Nil when the offload does not ask for segmentation or does not fit the frame. `frame` is the
    /// whole super-frame, which must stay readable while there are segments to come.
    package init?(frame: UnsafeRawBufferPointer, offload: Offload) {
        guard case .gso(let geometry) = offload.check(frame) else { return nil }
        self.frame = frame
        self.geometry = geometry
    }

    package var segmentCount: Int { geometry.segmentCount }

    /// The longest segment as an IP packet: a GSO frame is judged by its segments.
    package var maximumSegmentIPByteCount: Int { geometry.maximumSegmentIPByteCount }

    /// Writes the next segment, a complete Ethernet frame, and returns its length; nil when there
    /// is none left, or when `buffer` is shorter than `geometry.maximumSegmentByteCount`.
    package mutating func next(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        guard index < geometry.segmentCount, buffer.count >= geometry.maximumSegmentByteCount,
            let target = buffer.baseAddress, let source = frame.baseAddress
        else { return nil }
        let payload = nextPayload
        let copy = target + geometry.headerByteCount
        copy.copyMemory(from: source + payload.lowerBound, byteCount: payload.count)
        writeHeaders(to: target, payload: UnsafeRawBufferPointer(start: copy, count: payload.count))
        return geometry.headerByteCount + payload.count
    }

    /// Writes the next segment's headers, `geometry.headerByteCount` bytes, and returns where in the
    /// super-frame its payload lies, for a sender that gathers; nil when there is none left.
    ///
    /// The checksum is that of the payload as it is now: for frames in memory that nobody else writes.
    mutating func nextHeaders(into target: UnsafeMutableRawPointer) -> Range<Int>? {
        guard index < geometry.segmentCount, let source = frame.baseAddress else { return nil }
        let payload = nextPayload
        writeHeaders(
            to: target,
            payload: UnsafeRawBufferPointer(
                start: source + payload.lowerBound, count: payload.count))
        return payload
    }

    /// The next segment's payload, by its place in the super-frame.
    private var nextPayload: Range<Int> {
        let offset = index * geometry.gsoSize
        let start = geometry.headerByteCount + offset
        return start..<start + min(geometry.gsoSize, geometry.payloadByteCount - offset)
    }

    private mutating func writeHeaders(
        to target: UnsafeMutableRawPointer, payload: UnsafeRawBufferPointer
    ) {
        guard let source = frame.baseAddress else { return }
        target.copyMemory(from: source, byteCount: geometry.headerByteCount)
        let byteCount = geometry.headerByteCount + payload.count
        let transportByteCount = byteCount - geometry.transportOffset
        patchNetworkHeader(target + geometry.networkOffset, frameByteCount: byteCount)
        let transport = target + geometry.transportOffset
        if geometry.isTCP {
            patchTCPHeader(transport, payloadOffset: index * geometry.gsoSize)
        } else {
            transport.storeBigEndian(UInt16(truncatingIfNeeded: transportByteCount), at: 4)
        }
        storeChecksum(
            transport, network: target + geometry.networkOffset, byteCount: transportByteCount,
            payload: payload)
        index += 1
    }

    private func patchNetworkHeader(_ header: UnsafeMutableRawPointer, frameByteCount: Int) {
        let packetByteCount = frameByteCount - geometry.networkOffset
        if geometry.isIPv6 {
            header.storeBigEndian(
                UInt16(truncatingIfNeeded: packetByteCount - IPv6View.headerByteCount), at: 4)
            return
        }
        header.storeBigEndian(UInt16(truncatingIfNeeded: packetByteCount), at: 2)
        let identification: UInt16 = header.loadBigEndian(4)
        header.storeBigEndian(identification &+ UInt16(truncatingIfNeeded: index), at: 4)
        header.storeBigEndian(UInt16(0), at: 10)
        var sum = InternetChecksum()
        sum.add(
            UnsafeRawPointer(header),
            byteCount: geometry.transportOffset - geometry.networkOffset)
        header.storeBigEndian(sum.value, at: 10)
    }

    private func patchTCPHeader(_ header: UnsafeMutableRawPointer, payloadOffset: Int) {
        let sequence: UInt32 = header.loadBigEndian(4)
        header.storeBigEndian(sequence &+ UInt32(truncatingIfNeeded: payloadOffset), at: 4)
        var flags = TCPFlags(rawValue: header.load(fromByteOffset: 13, as: UInt8.self))
        if index > 0 { flags.remove(.cwr) }
        if index < geometry.segmentCount - 1 { flags.subtract([.fin, .psh]) }
        header.storeBytes(of: flags.rawValue, toByteOffset: 13, as: UInt8.self)
    }

    private func storeChecksum(
        _ transport: UnsafeMutableRawPointer, network: UnsafeMutableRawPointer, byteCount: Int,
        payload: UnsafeRawBufferPointer
    ) {
        let transportProtocol: IPProtocol = geometry.isTCP ? .tcp : .udp
        let field = geometry.isTCP ? 16 : 6
        var sum =
            geometry.isIPv6
            ? InternetChecksum.pseudoHeader(
                ipv6: UnsafeRawPointer(network), transportProtocol: transportProtocol,
                byteCount: byteCount)
            : InternetChecksum.pseudoHeader(
                ipv4: UnsafeRawPointer(network), transportProtocol: transportProtocol,
                byteCount: byteCount)
        transport.storeBigEndian(UInt16(0), at: field)
        // Transport headers are of even length, so that the payload's sum may follow.
        sum.add(UnsafeRawPointer(transport), byteCount: byteCount - payload.count)
        sum.add(payload)
        let value = sum.value
        transport.storeBigEndian(value == 0 && !geometry.isTCP ? 0xFFFF : value, at: field)
    }
}
