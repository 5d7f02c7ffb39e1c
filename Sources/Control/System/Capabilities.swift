import CLinux
import SystemPackage

/// The capabilities that Heddle has a use for (capabilities(7)).
package struct Capabilities: OptionSet, Sendable, Hashable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    private init(_ number: Int32) { rawValue = 1 << UInt64(number) }

    /// Devices, addresses, routes, TAPs.
    package static let netAdmin = Capabilities(CAP_NET_ADMIN)
    /// Packet sockets.
    package static let netRaw = Capabilities(CAP_NET_RAW)
    /// Namespaces and mounts.
    package static let sysAdmin = Capabilities(CAP_SYS_ADMIN)
    /// Locking memory beyond the limit.
    package static let ipcLock = Capabilities(CAP_IPC_LOCK)
    /// Loading BPF programs.
    package static let bpf = Capabilities(CAP_BPF)

    /// The effective set of the calling thread; empty when /proc is not there to say.
    package static var effective: Capabilities {
        guard let status = try? FileDescriptor.contents(ofFile: "/proc/thread-self/status") else {
            return []
        }
        return Capabilities(status: status)
    }

    /// Reads the CapEff line of a /proc status file.
    init(status: String) {
        for line in status.split(separator: "\n") where line.hasPrefix("CapEff:") {
            let digits = line.dropFirst("CapEff:".count).drop { $0.isWhitespace }
            self.init(rawValue: UInt64(digits, radix: 16) ?? 0)
            return
        }
        self.init(rawValue: 0)
    }

    package var description: String {
        let names: [(Capabilities, String)] = [
            (.netAdmin, "CAP_NET_ADMIN"), (.netRaw, "CAP_NET_RAW"),
            (.sysAdmin, "CAP_SYS_ADMIN"), (.ipcLock, "CAP_IPC_LOCK"), (.bpf, "CAP_BPF"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: " ")
    }
}
