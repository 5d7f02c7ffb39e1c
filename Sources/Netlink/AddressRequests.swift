import CLinux
import CMnl
import SystemPackage
import Wire

extension NetlinkSocket {
    /// Adds an address with the connected route of its prefix.
    ///
    /// - Parameter detectsDuplicates: IPv6 only. Without duplicate address detection (RFC 4862
    ///   section 5.4) the address is usable at once, instead of a second or so later.
    package func addAddress(
        _ address: InterfaceAddress, to index: Int32, detectsDuplicates: Bool = false
    ) throws(NetlinkError) {
        try perform(.addAddress(address, to: index, detectsDuplicates: detectsDuplicates))
    }

    package func removeAddress(
        _ address: InterfaceAddress, from index: Int32
    ) throws(NetlinkError) {
        try perform(.removeAddress(address, from: index))
    }

    /// The addresses of a device, IPv4 and IPv6, link-local ones included.
    package func addresses(of index: Int32) throws(NetlinkError) -> [InterfaceAddress] {
        // The kernel may leave the filtering by index to the asker (before Linux 4.20).
        try dump(.listAddresses(of: index)) { AssignedAddress($0) }
            .filter { $0.index == index }.map(\.address)
    }

    /// The addresses of every device of the namespace.
    package func addresses() throws(NetlinkError) -> [AssignedAddress] {
        try dump(.listAddresses(of: nil)) { AssignedAddress($0) }
    }
}

/// An address and the device that has it: one RTM_NEWADDR message.
package struct AssignedAddress: Equatable, Sendable {
    /// The device.
    package let index: Int32
    package let address: InterfaceAddress
    /// IPv6: duplicate address detection is under way (RFC 4862 section 5.4); not usable yet.
    package let isTentative: Bool
    /// IPv6: another host has it; not usable.
    package let isDuplicate: Bool

    init?(_ message: NetlinkMessage) {
        guard message.type == RTM_NEWADDR, let header = message.header(ifaddrmsg.self) else {
            return nil
        }
        // IFA_LOCAL is the interface's own address; IFA_ADDRESS is the same, or on a
        // point-to-point link the peer's. IPv6 sends IFA_LOCAL only when the two differ.
        var local: IPAddress?
        var other: IPAddress?
        // Those beyond eight bits are in the attribute only.
        var flags = UInt32(header.ifa_flags)
        for attribute in message.attributes(after: ifaddrmsg.self) {
            switch attribute.type {
            case Int(IFA_LOCAL): local = IPAddress(octets: attribute.payload)
            case Int(IFA_ADDRESS): other = IPAddress(octets: attribute.payload)
            case Int(IFA_FLAGS): flags = attribute.uint32 ?? flags
            default: break
            }
        }
        guard let own = local ?? other,
            let address = InterfaceAddress(own, prefixLength: Int(header.ifa_prefixlen))
        else { return nil }
        index = Int32(bitPattern: header.ifa_index)
        self.address = address
        isDuplicate = flags & UInt32(IFA_F_DADFAILED) != 0
        // An optimistic address may be used meanwhile (RFC 4429).
        isTentative =
            flags & UInt32(IFA_F_TENTATIVE) != 0 && flags & UInt32(IFA_F_OPTIMISTIC) == 0
    }
}

extension NetlinkRequest {
    static func addAddress(
        _ address: InterfaceAddress, to index: Int32, detectsDuplicates: Bool
    ) -> NetlinkRequest {
        NetlinkRequest(
            RTM_NEWADDR, flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
            operation: "add address \(address) to", object: "device #\(index)"
        ) { message in
            message.put(header: address.header(index))
            if case .v6 = address.address, !detectsDuplicates {
                message.put(Int(IFA_FLAGS), UInt32(IFA_F_NODAD))
            }
            message.put(Int(IFA_LOCAL), bytes: address.address.octets)
            message.put(Int(IFA_ADDRESS), bytes: address.address.octets)
            // Without it, IPv4's subnet broadcasts are not answered.
            if case .v4(let v4) = address.address, address.prefixLength < 31 {
                let broadcast = v4.rawValue | UInt32.max >> UInt32(address.prefixLength)
                message.put(
                    Int(IFA_BROADCAST), bytes: IPv4Address(rawValue: broadcast).octets)
            }
        }
    }

    static func removeAddress(_ address: InterfaceAddress, from index: Int32) -> NetlinkRequest {
        NetlinkRequest(
            RTM_DELADDR, flags: NLM_F_ACK,
            operation: "remove address \(address) from", object: "device #\(index)"
        ) { message in
            message.put(header: address.header(index))
            message.put(Int(IFA_LOCAL), bytes: address.address.octets)
        }
    }

    /// - Parameter index: nil for those of every device.
    static func listAddresses(of index: Int32?) -> NetlinkRequest {
        NetlinkRequest(
            RTM_GETADDR, flags: NLM_F_DUMP, operation: "list addresses of",
            object: index.map { "device #\($0)" } ?? "the host"
        ) { message in
            var header = ifaddrmsg()
            header.ifa_index = UInt32(bitPattern: index ?? 0)
            message.put(header: header)
        }
    }
}

extension InterfaceAddress {
    fileprivate func header(_ index: Int32) -> ifaddrmsg {
        var header = ifaddrmsg()
        header.ifa_family = UInt8(address.bitWidth == 32 ? AF_INET : AF_INET6)
        header.ifa_prefixlen = UInt8(prefixLength)
        header.ifa_index = UInt32(bitPattern: index)
        // 127.0.0.0/8 and ::1 mean nothing outside the host.
        let isLoopback =
            switch address {
            case .v4(let address): address.isLoopback
            case .v6(let address): address.isLoopback
            }
        header.ifa_scope = UInt8((isLoopback ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE).rawValue)
        return header
    }
}

extension IPAddress {
    /// Four or sixteen octets in network order.
    init?(octets: UnsafeRawBufferPointer) {
        switch octets.count {
        case 4:
            self = .v4(
                IPv4Address(rawValue: UInt32(bigEndian: octets.loadUnaligned(as: UInt32.self))))
        case 16:
            self = .v6(
                IPv6Address(
                    high: UInt64(bigEndian: octets.loadUnaligned(as: UInt64.self)),
                    low: UInt64(
                        bigEndian: octets.loadUnaligned(fromByteOffset: 8, as: UInt64.self))))
        default: return nil
        }
    }
}
