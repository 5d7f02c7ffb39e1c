import Glibc

/// Why there is no packet socket on a device, and what the operator can do about it.
package enum PacketError: Error, Equatable, CustomStringConvertible {
    /// Packet sockets need a privilege.
    case forbidden(device: String)
    /// No device of this index exists in the thread's network namespace.
    case missing(device: String)
    /// The device carries no Ethernet frames.
    case notEthernet(device: String)
    /// The kernel lacks a feature without which Heddle cannot work.
    case unsupported(feature: String, device: String, errno: Int32)
    /// The memory for the ring was refused.
    case noMemory(device: String)
    /// A system call failed: what it was for, and errno.
    case system(operation: String, device: String, errno: Int32)

    package var description: String {
        switch self {
        case .forbidden(let device):
            "cannot attach device '\(device)': it needs CAP_NET_RAW in its network namespace; run "
                + "as root, or use --sandbox"
        case .missing(let device):
            "cannot attach device '\(device)': there is no such device in the switch's namespace"
        case .notEthernet(let device):
            "cannot attach device '\(device)': it carries no Ethernet frames"
        case .unsupported(let feature, let device, let errno):
            "cannot attach device '\(device)': the kernel's packet sockets lack \(feature): "
                + "\(String(cString: strerror(errno))); Linux 4.20 or later has it"
        case .noMemory(let device):
            "cannot attach device '\(device)': the kernel has no memory for its ring of "
                + "\(PacketRing.byteCount >> 10) KiB"
        case .system(let operation, let device, let errno):
            "cannot \(operation) of device '\(device)': \(String(cString: strerror(errno)))"
        }
    }
}
