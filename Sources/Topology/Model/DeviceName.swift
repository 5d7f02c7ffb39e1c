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
        if isValid(portName) { return portName }
        // FNV-1a, 64 bits; folded to 40 below.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in portName.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash ^= hash >> 40
        let digits = Array("abcdefghijklmnopqrstuvwxyz234567")
        var suffix = ""
        for shift in stride(from: 35, through: 0, by: -5) {
            suffix.append(digits[Int(hash >> UInt64(shift) & 31)])
        }
        return "\(String(decoding: portName.utf8.prefix(6), as: UTF8.self))-\(suffix)"
    }
}

/// Names of networks, ports and namespaces.
package enum Name {
    package static let byteLimit = 63
    /// As the JSON Schema says it.
    package static let pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"

    package static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= byteLimit, isAlphanumeric(first)
        else { return false }
        return name.utf8.allSatisfy {
            isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_")
                || $0 == UInt8(ascii: "-")
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }
}
