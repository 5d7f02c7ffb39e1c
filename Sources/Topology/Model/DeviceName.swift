/// Kernel device names: IFNAMSIZ leaves 15 bytes, port names are longer.
///
/// A port's device is called as the port is where the kernel allows it, so that `ip link` reads
/// well. Otherwise it gets the name's first six bytes, a hyphen and eight base-32 digits of a hash
/// of the whole name: stable, whatever other ports exist. Forty bits make a collision among 4096
/// ports a matter of one topology in 10^5; validation refuses it and asks for a `device:`.
package enum DeviceName {
    package static let byteLimit = 15
    /// Names that every namespace already uses: the loopback device, and two that sysctl paths
    /// reserve (net.ipv4.conf.all, net.ipv4.conf.default).
    package static let reserved: Set<String> = ["lo", "all", "default"]

    package static func isValid(_ name: String) -> Bool {
        name.utf8.count <= byteLimit && Name.isValid(name) && !reserved.contains(name)
    }

    package static func derived(from portName: String) -> String {
        isValid(portName) ? portName : hashed(portName, beginningAs: portName)
    }

    /// The end of a veth that is a port. Always with digits: the other end is called as the port is.
    package static func switchEnd(of portName: String) -> String {
        hashed("veth/\(portName)", beginningAs: portName)
    }

    private static func hashed(_ name: String, beginningAs start: String) -> String {
        // FNV-1a, then SplitMix64's finalizer: FNV alone spreads names that differ in their last
        // letters only over too few of the bits that are kept.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ hash >> 30) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ hash >> 27) &* 0x94d0_49bb_1331_11eb
        hash ^= hash >> 31
        let digits = Array("abcdefghijklmnopqrstuvwxyz234567")
        var suffix = ""
        for shift in stride(from: 35, through: 0, by: -5) {
            suffix.append(digits[Int(hash >> UInt64(shift) & 31)])
        }
        return "\(String(decoding: start.utf8.prefix(6), as: UTF8.self))-\(suffix)"
    }
}
