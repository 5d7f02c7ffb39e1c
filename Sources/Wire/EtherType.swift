/// The type field of an Ethernet frame; below 0x0600 it is a length (IEEE 802.3 clause 3.2.6).
@frozen
public struct EtherType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16

    @inlinable @inline(__always)
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    @inlinable public static var ipv4: EtherType { EtherType(rawValue: 0x0800) }
    @inlinable public static var arp: EtherType { EtherType(rawValue: 0x0806) }
    /// Transparent Ethernet bridging: an inner Ethernet frame in GRE or Geneve.
    @inlinable public static var ethernetBridging: EtherType { EtherType(rawValue: 0x6558) }
    /// C-TAG, the usual 802.1Q tag.
    @inlinable public static var customerTag: EtherType { EtherType(rawValue: 0x8100) }
    @inlinable public static var ipv6: EtherType { EtherType(rawValue: 0x86DD) }
    @inlinable public static var ethernetFlowControl: EtherType { EtherType(rawValue: 0x8808) }
    /// LACP and its kin.
    @inlinable public static var slowProtocols: EtherType { EtherType(rawValue: 0x8809) }
    @inlinable public static var mpls: EtherType { EtherType(rawValue: 0x8847) }
    @inlinable public static var eapol: EtherType { EtherType(rawValue: 0x888E) }
    /// S-TAG, the outer tag of 802.1ad.
    @inlinable public static var serviceTag: EtherType { EtherType(rawValue: 0x88A8) }
    @inlinable public static var lldp: EtherType { EtherType(rawValue: 0x88CC) }

    /// Whether the value is the TPID of a VLAN tag, C-TAG or S-TAG.
    @inlinable @inline(__always)
    public var isVLANTag: Bool { rawValue == 0x8100 || rawValue == 0x88A8 }

    /// Whether the field is the length of an LLC frame and not a type.
    @inlinable
    public var isLength: Bool { rawValue < 0x0600 }
}

extension EtherType: CustomStringConvertible {
    /// The protocol's name, or the number in hexadecimal.
    public var description: String {
        switch self {
        case .ipv4: "IPv4"
        case .arp: "ARP"
        case .ethernetBridging: "TEB"
        case .customerTag: "802.1Q"
        case .ipv6: "IPv6"
        case .ethernetFlowControl: "flow control"
        case .slowProtocols: "slow protocols"
        case .mpls: "MPLS"
        case .eapol: "EAPOL"
        case .serviceTag: "802.1ad"
        case .lldp: "LLDP"
        default: isLength ? "LLC" : hexText(rawValue, digitCount: 4)
        }
    }
}
