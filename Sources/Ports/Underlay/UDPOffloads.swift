import CLinux
import Dataplane
import Glibc

/// What the kernel does to UDP datagrams in bulk, where it can.
package struct UDPOffloads: OptionSet, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// It cuts one message into datagrams (UDP_SEGMENT, Linux 4.18).
    package static let segmentation = UDPOffloads(rawValue: 1)
    /// It hands over several datagrams of a sender as one message (UDP_GRO, Linux 5.0).
    package static let coalescing = UDPOffloads(rawValue: 2)

    /// What this kernel has, found out on a socket that is closed again; nothing where not even
    /// that can be had.
    package static func ofKernel() -> UDPOffloads {
        let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return [] }
        defer { close(socket) }
        var found: UDPOffloads = []
        for (offload, option, value) in [
            (UDPOffloads.segmentation, UDP_SEGMENT, Int32(1000)), (.coalescing, UDP_GRO, 1),
        ] {
            var value = value
            if setsockopt(
                socket, Int32(IPPROTO_UDP), option, &value, socklen_t(MemoryLayout<Int32>.size))
                == 0
            {
                found.insert(offload)
            }
        }
        return found
    }

    package var description: String {
        let names = [
            contains(.segmentation) ? "segmentation" : nil,
            contains(.coalescing) ? "coalescing" : nil,
        ].compactMap { $0 }
        return names.isEmpty ? "none" : names.joined(separator: " ")
    }
}
