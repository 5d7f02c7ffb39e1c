/// An ARP packet for IPv4 over Ethernet (RFC 826).
@frozen
public struct ARPView: ~Escapable {
    @inlinable public static var byteCount: Int { 28 }

    public let bytes: RawSpan

    /// Nil when the packet is not within `bytes`, or is for other hardware or another protocol.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    public init?(_ bytes: RawSpan) {
        // Hardware type 1, protocol type 0x0800, then the two address lengths, 6 and 4.
        guard bytes.byteCount >= 28,
            bytes.loadBigEndian(0, as: UInt32.self) == 0x0001_0800,
            bytes.loadBigEndian(4, as: UInt16.self) == 0x0604
        else { return nil }
        self.bytes = bytes
    }

    /// 1 is a request, 2 a reply.
    @inlinable public var operation: UInt16 { bytes.loadBigEndian(6) }
    @inlinable public var isRequest: Bool { operation == 1 }
    @inlinable public var isReply: Bool { operation == 2 }

    @inlinable public var senderMAC: MACAddress {
        MACAddress(rawValue: bytes.loadBigEndian(8, as: UInt64.self) >> 16)
    }
    @inlinable public var senderIP: IPv4Address { IPv4Address(rawValue: bytes.loadBigEndian(14)) }
    @inlinable public var targetMAC: MACAddress {
        MACAddress(rawValue: bytes.loadBigEndian(18, as: UInt64.self) >> 16)
    }
    @inlinable public var targetIP: IPv4Address { IPv4Address(rawValue: bytes.loadBigEndian(24)) }
}
