import Wire

// Lowers the maximum segment size that TCP announces (RFC 9293 section 3.7.1) to what fits into a
// tunnel, so that a connection never sends what would have to be refused. It is for networks in
// which the ICMP message that says so gets lost.
//
// Only SYN segments are looked at, only lowered, and only if every header up to the option is
// whole; an option that is not well formed ends the search. The TCP checksum is updated for the
// changed word (RFC 1624), unless it is still partial: then its field holds nothing but the pseudo
// header's sum, which the option is no part of.

/// Clamps the MSS option of a TCP SYN.
package enum MSSClamp {
    /// Lowers the option in the frame, which has no tag before its EtherType, to what makes IP
    /// packets of `maximumPacketByteCount` at most; returns whether it changed anything.
    @inline(__always)
    package static func apply(
        to frame: UnsafeMutableRawBufferPointer, offload: Offload, maximumPacketByteCount: Int
    ) -> Bool {
        guard let base = frame.baseAddress, frame.count >= 54 else { return false }
        let etherType: UInt16 = base.loadBigEndian(12)
        if etherType == EtherType.ipv4.rawValue {
            guard base.load(fromByteOffset: 23, as: UInt8.self) == 6 else { return false }
            let first = base.load(fromByteOffset: 14, as: UInt8.self)
            let headerByteCount = Int(first & 0x0F) * 4
            guard first >> 4 == 4, headerByteCount >= 20,
                // The first of a datagram's fragments may have the option, and a later one not.
                base.loadBigEndian(20, as: UInt16.self) & 0x1FFF == 0
            else { return false }
            return clamp(
                frame, base, transportOffset: 14 &+ headerByteCount, offload,
                limit: maximumPacketByteCount - 40)
        }
        guard etherType == EtherType.ipv6.rawValue,
            base.load(fromByteOffset: 20, as: UInt8.self) == 6,
            base.load(fromByteOffset: 14, as: UInt8.self) >> 4 == 6
        else { return false }
        return clamp(frame, base, transportOffset: 54, offload, limit: maximumPacketByteCount - 60)
    }

    @inline(__always)
    private static func clamp(
        _ frame: UnsafeMutableRawBufferPointer, _ base: UnsafeMutableRawPointer,
        transportOffset: Int, _ offload: Offload, limit: Int
    ) -> Bool {
        guard frame.count >= transportOffset &+ 20,
            base.load(fromByteOffset: transportOffset &+ 13, as: UInt8.self)
                & TCPFlags.syn.rawValue != 0
        else { return false }
        return lower(frame, base, transportOffset: transportOffset, offload, limit: limit)
    }

    private static func lower(
        _ frame: UnsafeMutableRawBufferPointer, _ base: UnsafeMutableRawPointer,
        transportOffset: Int, _ offload: Offload, limit: Int
    ) -> Bool {
        let transport = base + transportOffset
        let end = Int(transport.load(fromByteOffset: 12, as: UInt8.self) >> 4) * 4
        guard end >= 20, transportOffset + end <= frame.count, limit > 0 else { return false }
        var offset = 20
        while offset < end {
            let kind = transport.load(fromByteOffset: offset, as: UInt8.self)
            if kind == 0 { return false }
            if kind == 1 {
                offset += 1
                continue
            }
            guard offset + 2 <= end else { return false }
            let byteCount = Int(transport.load(fromByteOffset: offset + 1, as: UInt8.self))
            guard byteCount >= 2, offset + byteCount <= end else { return false }
            if kind == 2 {
                guard byteCount == 4 else { return false }
                return replace(transport, at: offset + 2, by: limit, offload, transportOffset)
            }
            offset += byteCount
        }
        return false
    }

    private static func replace(
        _ transport: UnsafeMutableRawPointer, at offset: Int, by limit: Int, _ offload: Offload,
        _ transportOffset: Int
    ) -> Bool {
        let old: UInt16 = transport.loadBigEndian(offset)
        guard Int(old) > limit else { return false }
        let new = UInt16(truncatingIfNeeded: limit)
        transport.storeBigEndian(new, at: offset)
        let isPartial = offload.needsChecksum && Int(offload.checksumStart) == transportOffset
        guard !isPartial else { return true }
        var checksum: UInt16 = transport.loadBigEndian(16)
        if offset & 1 == 0 {
            checksum = InternetChecksum.updating(checksum, replacing: old, with: new)
        } else {
            // Behind an odd number of no-operations the value lies across two words.
            checksum = InternetChecksum.updating(
                checksum, replacing: old.byteSwapped, with: new.byteSwapped)
        }
        transport.storeBigEndian(checksum, at: 16)
        return true
    }
}
