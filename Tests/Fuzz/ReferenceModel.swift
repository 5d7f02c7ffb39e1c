/// What a frame and a configuration mean, worked out without the code under test.
enum ReferenceModel {
    /// The frame without its outermost tag, and the tag; nil for a runt.
    static func split(_ frame: some Collection<UInt8>) -> (canonical: [UInt8], tci: UInt16?)? {
        let bytes = Array(frame)
        guard bytes.count >= 14 else { return nil }
        guard bytes[12] == 0x81, bytes[13] == 0 else { return (bytes, nil) }
        guard bytes.count >= 18 else { return nil }
        return (Array(bytes[..<12] + bytes[16...]), UInt16(bytes[14]) << 8 | UInt16(bytes[15]))
    }

    static func memberships(
        _ port: PortConfiguration
    ) -> (untagged: UInt16, tagged: [UInt16]) {
        switch port.membership {
        case .access(let domain): (domain, [])
        case .trunk(let domains, let native): (native ?? 0, domains)
        }
    }

    /// The domain that a port's frame belongs to, where domain n has VLAN ID 10 n; nil for none.
    static func domain(tci: UInt16?, at port: PortConfiguration) -> UInt16? {
        let vid = (tci ?? 0) & 0xFFF
        let (untagged, tagged) = memberships(port)
        if vid == 0 { return untagged == 0 ? nil : untagged }
        guard case .trunk = port.membership, vid % 10 == 0 else { return nil }
        return tagged.contains(vid / 10) ? vid / 10 : nil
    }
}
