import CLinux

/// What the reader of a TAP device accepts without the kernel finishing it first: partial checksums
/// and super-frames (TUN_F_ in linux/if_tun.h). What is written to the device is not limited by it.
package struct TAPOffloads: OptionSet, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    private init(_ flag: Int32) { rawValue = UInt32(flag) }

    /// A checksum that is still to be completed. Every other offload needs it.
    package static let checksum = TAPOffloads(TUN_F_CSUM)
    package static let tso4 = TAPOffloads(TUN_F_TSO4)
    package static let tso6 = TAPOffloads(TUN_F_TSO6)
    /// TSO of segments with CWR set (RFC 3168).
    package static let tsoECN = TAPOffloads(TUN_F_TSO_ECN)
    /// UDP super-frames over IPv4; the kernel takes it together with `uso6` only (Linux 6.2).
    package static let uso4 = TAPOffloads(TUN_F_USO4)
    package static let uso6 = TAPOffloads(TUN_F_USO6)

    package static let tso: TAPOffloads = [.tso4, .tso6, .tsoECN]
    package static let uso: TAPOffloads = [.uso4, .uso6]

    /// What is asked for, the best first: a kernel refuses a set of which it lacks a member.
    static let preferences: [TAPOffloads] = [
        [.checksum, .tso, .uso],
        [.checksum, .tso],
        [.checksum],
        [],
    ]

    package var description: String {
        let names: [(TAPOffloads, String)] = [
            (.checksum, "checksum"), (.tso4, "tso4"), (.tso6, "tso6"), (.tsoECN, "tso-ecn"),
            (.uso4, "uso4"), (.uso6, "uso6"),
        ]
        let present = names.filter { contains($0.0) }.map(\.1)
        return present.isEmpty ? "none" : present.joined(separator: " ")
    }
}
