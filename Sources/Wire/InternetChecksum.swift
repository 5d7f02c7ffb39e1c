// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//
// One's complement addition does not care about byte order as long as all of it is done in one
// (RFC 1071 section 2), so memory is summed in native order, eight bytes at a time, and only the
// result is put into network order. Eight-byte words are added with an end-around carry, which is
// the same addition on a wider word.
//
// In bulk there are no carries at all, since a vector unit cannot keep them: beside the sum of the
// words modulo 2^64 runs that of their upper halves, which cannot overflow below 32 GiB, and the
// sum of the lower halves follows from both. The compiler makes vector code of such a loop as it
// stands; written with SIMD types it is as fast there and a hundred times slower in a debug build.
//
// The sum of a non-empty header is never +0 in one's complement, except for all-zero input; a UDP
// checksum of 0 means "none" and must be sent as 0xFFFF, which only the caller can know.

/// A running one's-complement sum.
@frozen
public struct InternetChecksum: Equatable, Sendable {
    /// In native byte order, with carries already brought around.
    @usableFromInline var sum: UInt64

    @inlinable @inline(__always)
    public init() { sum = 0 }

    /// Starts from a folded sum, such as the partial checksum that a guest left in a header.
    @inlinable @inline(__always)
    public init(seed: UInt16) { sum = UInt64(seed.bigEndian) }

    @inlinable @inline(__always)
    mutating func addNative(_ word: UInt64) {
        let (partial, overflow) = sum.addingReportingOverflow(word)
        // Cannot overflow again: after an overflow `partial` is at most 2^64 - 2.
        sum = partial &+ (overflow ? 1 : 0)
    }

    /// Adds one 16-bit word given in host order.
    @inlinable @inline(__always)
    public mutating func add(_ word: UInt16) { addNative(UInt64(word.bigEndian)) }

    /// Adds two 16-bit words given as one number in host order.
    @inlinable @inline(__always)
    public mutating func add(_ words: UInt32) { addNative(UInt64(words.bigEndian)) }

    /// Adds memory. Every piece but the last must have an even length; an odd last byte is padded
    /// with a zero (RFC 1071 section 4.1).
    @inlinable
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        add(base, byteCount: bytes.count)
    }

    /// As `add(_:)` for `byteCount` bytes that the caller guarantees to be readable.
    @inlinable
    public mutating func add(_ bytes: UnsafeRawPointer, byteCount: Int) {
        let end = byteCount & ~7
        var whole: UInt64 = 0
        var high: UInt64 = 0
        var offset = 0
        while offset < end {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            whole &+= word
            high &+= word &>> 32
            offset &+= 8
        }
        addHalves(whole: whole, high: high)
        addTail(bytes + end, byteCount: byteCount & 7)
    }

    /// Copies `byteCount` bytes and adds them as `add(_:byteCount:)` does, in one pass: what is
    /// summed is what was written, even if the source is changed meanwhile. The caller guarantees
    /// that the bytes are readable and writable and do not overlap.
    @inlinable
    public mutating func addCopying(
        from source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, byteCount: Int
    ) {
        let end = byteCount & ~7
        var whole: UInt64 = 0
        var high: UInt64 = 0
        var offset = 0
        while offset < end {
            let word = source.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            destination.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
            whole &+= word
            high &+= word &>> 32
            offset &+= 8
        }
        addHalves(whole: whole, high: high)
        // A call to copy a few bytes would take longer than all of this for a short frame.
        while offset < byteCount {
            destination.storeBytes(
                of: source.load(fromByteOffset: offset, as: UInt8.self), toByteOffset: offset,
                as: UInt8.self)
            offset &+= 1
        }
        addTail(destination + end, byteCount: byteCount & 7)
    }

    /// Adds words of which `whole` is the sum modulo 2^64 and `high` the sum of the upper halves.
    @inlinable @inline(__always)
    mutating func addHalves(whole: UInt64, high: UInt64) {
        // The sum of the lower halves, exactly: it is less than 2^64 too.
        addNative(whole &- (high &<< 32))
        // 2^32 is 1 in this arithmetic.
        addNative(high)
    }

    /// Adds the last bytes, fewer than eight.
    @inlinable @inline(__always)
    mutating func addTail(_ bytes: UnsafeRawPointer, byteCount: Int) {
        var cursor = bytes
        if byteCount & 4 != 0 {
            addNative(UInt64(cursor.loadUnaligned(as: UInt32.self)))
            cursor += 4
        }
        if byteCount & 2 != 0 {
            addNative(UInt64(cursor.loadUnaligned(as: UInt16.self)))
            cursor += 2
        }
        if byteCount & 1 != 0 {
            add(UInt16(cursor.load(as: UInt8.self)) << 8)
        }
    }

    /// As `add(_:)` for a span.
    @inlinable
    public mutating func add(_ bytes: RawSpan) {
        let addend = bytes.withUnsafeBytes { bytes in
            var sum = InternetChecksum()
            sum.add(bytes)
            return sum
        }
        addNative(addend.sum)
    }

    /// The sum folded to 16 bits, in host order: what goes into a checksum field as a seed, when
    /// somebody else adds the rest.
    @inlinable @inline(__always)
    public var folded: UInt16 {
        var value = (sum & 0xFFFF_FFFF) + (sum >> 32)
        value = (value & 0xFFFF) + (value >> 16)
        value = (value & 0xFFFF) + (value >> 16)
        value = (value & 0xFFFF) + (value >> 16)
        return UInt16(truncatingIfNeeded: value).bigEndian
    }

    /// The checksum in host order: the complement of the folded sum. Over data that includes its
    /// own correct checksum it is 0.
    @inlinable @inline(__always)
    public var value: UInt16 { ~folded }

    /// The sum of the pseudo header of an IPv4 packet (RFC 9293 section 3.1), its addresses taken
    /// from the header at `header`, of which the caller guarantees 20 bytes.
    @inlinable
    public static func pseudoHeader(
        ipv4 header: UnsafeRawPointer, transportProtocol: IPProtocol, byteCount: Int
    ) -> InternetChecksum {
        var sum = InternetChecksum()
        sum.addNative(header.loadUnaligned(fromByteOffset: 12, as: UInt64.self))
        sum.add(UInt16(transportProtocol.rawValue))
        sum.add(UInt32(truncatingIfNeeded: byteCount))
        return sum
    }

    /// The sum of the pseudo header of an IPv6 packet (RFC 8200 section 8.1), its addresses taken
    /// from the header at `header`, of which the caller guarantees 40 bytes.
    @inlinable
    public static func pseudoHeader(
        ipv6 header: UnsafeRawPointer, transportProtocol: IPProtocol, byteCount: Int
    ) -> InternetChecksum {
        var sum = InternetChecksum()
        sum.addNative(header.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        sum.addNative(header.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        sum.addNative(header.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
        sum.addNative(header.loadUnaligned(fromByteOffset: 32, as: UInt64.self))
        sum.add(UInt32(truncatingIfNeeded: byteCount))
        sum.add(UInt16(transportProtocol.rawValue))
        return sum
    }

    /// The checksum after one of the summed words changed (RFC 1624 section 3, equation 3).
    @inlinable
    public static func updating(
        _ checksum: UInt16, replacing old: UInt16, with new: UInt16
    ) -> UInt16 {
        var sum = UInt32(~checksum) + UInt32(~old) + UInt32(new)
        sum = (sum & 0xFFFF) + (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16)
        return ~UInt16(truncatingIfNeeded: sum)
    }
}
