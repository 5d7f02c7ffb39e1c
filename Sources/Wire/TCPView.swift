/// A TCP header and what it carries (RFC 9293 section 3.1).
@frozen
public struct TCPView: ~Escapable {
    @inlinable public static var minimumByteCount: Int { 20 }

    public let bytes: RawSpan

    /// 20 to 60, options included; within `bytes`.
    public let headerByteCount: Int

    /// Nil when the header, options included, is not within `bytes`.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= 20 else { return nil }
        let headerByteCount = Int(bytes.byte(12) >> 4) * 4
        guard headerByteCount >= 20, headerByteCount <= bytes.byteCount else { return nil }
        self.bytes = bytes
        self.headerByteCount = headerByteCount
    }

    @inlinable public var sourcePort: UInt16 { bytes.loadBigEndian(0) }
    @inlinable public var destinationPort: UInt16 { bytes.loadBigEndian(2) }
    @inlinable public var sequenceNumber: UInt32 { bytes.loadBigEndian(4) }
    @inlinable public var acknowledgmentNumber: UInt32 { bytes.loadBigEndian(8) }
    @inlinable public var flags: TCPFlags { TCPFlags(rawValue: bytes.byte(13)) }
    @inlinable public var window: UInt16 { bytes.loadBigEndian(14) }
    @inlinable public var checksum: UInt16 { bytes.loadBigEndian(16) }

    @inlinable
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: headerByteCount) }
    }
}

/// The control bits of a TCP header.
@frozen
public struct TCPFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable @inline(__always)
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable public static var fin: TCPFlags { TCPFlags(rawValue: 0x01) }
    @inlinable public static var syn: TCPFlags { TCPFlags(rawValue: 0x02) }
    @inlinable public static var rst: TCPFlags { TCPFlags(rawValue: 0x04) }
    @inlinable public static var psh: TCPFlags { TCPFlags(rawValue: 0x08) }
    @inlinable public static var ack: TCPFlags { TCPFlags(rawValue: 0x10) }
    @inlinable public static var urg: TCPFlags { TCPFlags(rawValue: 0x20) }
    /// ECN echo (RFC 3168).
    @inlinable public static var ece: TCPFlags { TCPFlags(rawValue: 0x40) }
    /// Congestion window reduced (RFC 3168).
    @inlinable public static var cwr: TCPFlags { TCPFlags(rawValue: 0x80) }
}

extension TCPFlags: CustomStringConvertible {
    /// The names of the bits that are set, such as `SYN,ACK`.
    public var description: String {
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]
        let present = names.indices.filter { rawValue >> $0 & 1 != 0 }.map { names[$0] }
        return present.isEmpty ? "none" : present.joined(separator: ",")
    }
}
