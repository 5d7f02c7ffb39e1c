import Wire

/// Tells inner flows apart for the underlay: eight bits that are the same for every frame of a flow.
///
/// Addresses and, where the transport has them, ports (RFC 7348 §5). Fragments have ports in the first
/// one only, so that they are left out; so that all of a datagram's fragments go the same way, they
/// hash by addresses alone. What is not IP is told apart by MAC addresses.
enum FlowHash {
    @inline(__always)
    static func of(_ frame: Frame) -> UInt8 {
        let bytes = UnsafeRawPointer(frame.bytes)
        let etherType: UInt16 = bytes.loadBigEndian(12)
        var word: UInt64
        if etherType == 0x0800, frame.byteCount >= 38 {
            word = bytes.loadUnaligned(fromByteOffset: 26, as: UInt64.self)
            let headerByteCount = Int(bytes.load(fromByteOffset: 14, as: UInt8.self) & 0xF) &* 4
            let fragment: UInt16 = bytes.loadBigEndian(20)
            let next = bytes.load(fromByteOffset: 23, as: UInt8.self)
            // More fragments, or an offset (RFC 791 §3.1).
            if fragment & 0x3FFF == 0, headerByteCount >= 20,
                Int(frame.byteCount) >= 14 &+ headerByteCount &+ 4
            {
                word ^= ports(next, at: bytes + 14 + headerByteCount)
            }
        } else if etherType == 0x86DD, frame.byteCount >= 58 {
            word =
                bytes.loadUnaligned(fromByteOffset: 22, as: UInt64.self)
                ^ mix(bytes.loadUnaligned(fromByteOffset: 30, as: UInt64.self))
            word ^=
                mix(
                    bytes.loadUnaligned(fromByteOffset: 38, as: UInt64.self)
                        ^ mix(bytes.loadUnaligned(fromByteOffset: 46, as: UInt64.self)))
            word ^= ports(bytes.load(fromByteOffset: 20, as: UInt8.self), at: bytes + 54)
        } else {
            word =
                bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
                ^ UInt64(bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        }
        return UInt8(truncatingIfNeeded: mix(word) >> 56)
    }

    /// TCP, UDP and SCTP begin with two ports.
    @inline(__always)
    private static func ports(_ next: UInt8, at transport: UnsafeRawPointer) -> UInt64 {
        guard next == 6 || next == 17 || next == 132 else { return 0 }
        return mix(UInt64(transport.loadUnaligned(as: UInt32.self)) &+ 1)
    }

    @inline(__always)
    private static func mix(_ word: UInt64) -> UInt64 {
        let product = word &* 0x9E37_79B9_7F4A_7C15
        return (product ^ (product >> 32)) &* 0xD6E8_FEB8_6659_FD93
    }
}
