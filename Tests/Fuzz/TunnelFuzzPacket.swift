import Glibc

/// An Ethernet frame with a TCP or UDP packet in it, as a fuzz input asks for: right in every field
/// until somebody damages it.
///
/// A TCP payload is a function of the sequence number, so that what arrives shows where it belongs.
struct FuzzPacket {
    enum Checksum {
        case complete
        /// The pseudo header's sum only, as a sender leaves it to its device.
        case partial
    }

    var destination: UInt64
    var source: UInt64
    /// Tags as they are on the wire, TPID and TCI each.
    var tags: [UInt32] = []
    var isIPv6 = false
    var isTCP = true
    var flags: UInt8 = 0x10
    /// Whether IPv4 says that it must not be fragmented.
    var forbidsFragments = true
    /// TCP options, a multiple of four bytes.
    var options: [UInt8] = []
    var sequenceNumber: UInt32 = 0
    var dataByteCount = 0
    var checksum = Checksum.complete

    /// What a stream carries, from any of its first 65,536 positions on; then it repeats.
    private static let stream: [UInt8] = (0..<2 * 65_536).map {
        UInt8(truncatingIfNeeded: ($0 & 0xFFFF) &* 31 ^ ($0 & 0xFFFF) >> 7)
    }

    private static func place(of sequenceNumber: UInt32) -> Int { Int(sequenceNumber & 0xFFFF) }

    /// Offset of the TCP or UDP header.
    var transportOffset: Int { 14 + 4 * tags.count + (isIPv6 ? 40 : 20) }
    var transportHeaderByteCount: Int { isTCP ? 20 + options.count : 8 }

    var bytes: [UInt8] {
        let transportByteCount = transportHeaderByteCount + dataByteCount
        var bytes: [UInt8] = []
        bytes.reserveCapacity(transportOffset + transportByteCount)
        FuzzPacket.append(destination, 6, to: &bytes)
        FuzzPacket.append(source, 6, to: &bytes)
        for tag in tags { FuzzPacket.append(UInt64(tag), 4, to: &bytes) }
        FuzzPacket.append(isIPv6 ? 0x86DD : 0x0800, 2, to: &bytes)
        if isIPv6 {
            FuzzPacket.append(0x6000_0000, 4, to: &bytes)
            FuzzPacket.append(
                UInt64(transportByteCount & 0xFFFF) << 16 | (isTCP ? 0x0640 : 0x1140), 4, to: &bytes
            )
            FuzzPacket.append(0x2001_0DB8_0000_0001, 8, to: &bytes)
            FuzzPacket.append(source, 8, to: &bytes)
            FuzzPacket.append(0x2001_0DB8_0000_0001, 8, to: &bytes)
            FuzzPacket.append(destination, 8, to: &bytes)
        } else {
            FuzzPacket.append(
                0x4500_0000 | UInt64((transportByteCount + 20) & 0xFFFF), 4, to: &bytes)
            FuzzPacket.append(forbidsFragments ? 0x0000_4000 : 0x1234_0000, 4, to: &bytes)
            FuzzPacket.append(isTCP ? 0x4006_0000 : 0x4011_0000, 4, to: &bytes)
            FuzzPacket.append(0x0A00_0000 | source & 0xFFFF, 4, to: &bytes)
            FuzzPacket.append(0x0A00_0000 | destination & 0xFFFF, 4, to: &bytes)
        }
        FuzzPacket.append(0x1234_5678, 4, to: &bytes)
        if isTCP {
            FuzzPacket.append(UInt64(sequenceNumber) << 32 | 1, 8, to: &bytes)
            FuzzPacket.append(UInt64(5 + options.count / 4) << 12 | UInt64(flags), 2, to: &bytes)
            FuzzPacket.append(0xFFFF_0000_0000, 6, to: &bytes)
            bytes += options
        } else {
            FuzzPacket.append(UInt64(transportByteCount & 0xFFFF) << 16, 4, to: &bytes)
        }
        let start = FuzzPacket.place(of: sequenceNumber)
        bytes += FuzzPacket.stream[start..<start + dataByteCount]
        finish(&bytes, transportByteCount)
        return bytes
    }

    private func finish(_ bytes: inout [UInt8], _ transportByteCount: Int) {
        let offset = transportOffset
        let network = offset - (isIPv6 ? 40 : 20)
        let field = offset + (isTCP ? 16 : 6)
        bytes.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            if !isIPv6 {
                var sum = InternetChecksum()
                sum.add(UnsafeRawPointer(base + network), byteCount: 20)
                base.storeBigEndian(sum.value, at: network + 10)
            }
            var sum = FuzzPacket.pseudoHeader(
                base + network, isIPv6: isIPv6, kind: isTCP ? 6 : 17, transportByteCount)
            guard checksum == .complete else {
                base.storeBigEndian(sum.folded, at: field)
                return
            }
            sum.add(UnsafeRawPointer(base + offset), byteCount: transportByteCount)
            base.storeBigEndian(
                sum.value == 0 && !isTCP ? 0xFFFF : sum.value, at: field)
        }
    }

    private static func pseudoHeader(
        _ network: UnsafeRawPointer, isIPv6: Bool, kind: UInt8, _ byteCount: Int
    ) -> InternetChecksum {
        let kind = IPProtocol(rawValue: kind)
        return isIPv6
            ? .pseudoHeader(ipv6: network, transportProtocol: kind, byteCount: byteCount)
            : .pseudoHeader(ipv4: network, transportProtocol: kind, byteCount: byteCount)
    }

    /// What a whole TCP or UDP packet of an untagged frame says of itself: the transport checksum
    /// and IPv4's verify, lengths agree, and a TCP payload is where it belongs. Returns the
    /// payload's length.
    static func verify(_ frame: ArraySlice<UInt8>) -> Int {
        frame.withUnsafeBytes { frame in
            guard let base = frame.baseAddress, frame.count >= 14 else {
                preconditionFailure("a runt")
            }
            let isIPv6 = base.loadBigEndian(12, as: UInt16.self) == 0x86DD
            precondition(
                isIPv6 || base.loadBigEndian(12, as: UInt16.self) == 0x0800, "not IP any more")
            let offset = isIPv6 ? 54 : 34
            let packetByteCount = Int(base.loadBigEndian(isIPv6 ? 18 : 16, as: UInt16.self))
            precondition(
                packetByteCount == frame.count - (isIPv6 ? 54 : 14), "the IP header's length")
            let kind = base.load(fromByteOffset: isIPv6 ? 20 : 23, as: UInt8.self)
            if !isIPv6 {
                var sum = InternetChecksum()
                sum.add(base + 14, byteCount: 20)
                precondition(sum.value == 0, "the IPv4 header's checksum")
            }
            var sum = pseudoHeader(base + 14, isIPv6: isIPv6, kind: kind, frame.count - offset)
            sum.add(base + offset, byteCount: frame.count - offset)
            precondition(sum.value == 0, "the transport checksum")
            guard kind == 6 else {
                precondition(kind == 17 && frame.count >= offset + 8)
                precondition(
                    Int(base.loadBigEndian(offset + 4, as: UInt16.self)) == frame.count - offset)
                return frame.count - offset - 8
            }
            let start =
                offset + Int(base.load(fromByteOffset: offset + 12, as: UInt8.self) >> 4) * 4
            let sequenceNumber: UInt32 = base.loadBigEndian(offset + 4)
            let position = place(of: sequenceNumber)
            let isRight = stream.withUnsafeBytes { stream in
                stream.baseAddress.map {
                    memcmp($0 + position, base + start, frame.count - start) == 0
                }
            }
            precondition(isRight == true, "payload in the wrong place")
            return frame.count - start
        }
    }

    static func append(_ value: UInt64, _ byteCount: Int, to bytes: inout [UInt8]) {
        for place in (0..<byteCount).reversed() {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * place)))
        }
    }
}
