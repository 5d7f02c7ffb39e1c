import CLinux
import SystemPackage

/// A TAP device that a hypervisor is to own: Heddle makes it, hands the descriptor over, and takes
/// the other side, the network device.
enum HypervisorTAP {
    /// The kernel puts a number in the place of `%d`.
    private static let pattern = "vm%d"

    /// Makes a device in the calling thread's network namespace. It is gone when the last descriptor
    /// is closed.
    ///
    /// - Parameter hasHeader: whether each frame has a virtio-net header before it (IFF_VNET_HDR).
    static func make(
        hasHeader: Bool
    ) throws(SystemError) -> (descriptor: FileDescriptor, name: String) {
        let descriptor = try check(
            clinux_open_mode("/dev/net/tun", O_RDWR | O_CLOEXEC, 0), "open /dev/net/tun")
        var request = ifreq()
        clinux_ifreq_set_name(&request, pattern)
        clinux_ifreq_set_flags(
            &request, IFF_TAP | IFF_NO_PI | (hasHeader ? IFF_VNET_HDR : 0))
        guard clinux_ioctl_pointer(descriptor, CLINUX_TUNSETIFF, &request) == 0 else {
            let errno = Errno.current
            close(descriptor)
            throw SystemError("make a TAP device", errno)
        }
        let name = withUnsafeBytes(of: &request) { bytes in
            String(decoding: bytes.prefix(Int(IFNAMSIZ)).prefix { $0 != 0 }, as: UTF8.self)
        }
        return (FileDescriptor(rawValue: descriptor), name)
    }
}
