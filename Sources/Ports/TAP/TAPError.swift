import SystemPackage

/// Why there is no TAP device, and what the operator can do about it.
package enum TAPError: Error, Equatable, CustomStringConvertible {
    /// A kernel device's name is 1 to 15 bytes without '/', ':', '%' or white space.
    case invalidName(String)
    /// /dev/net/tun does not exist, or has no driver behind it.
    case noDriver(Errno)
    /// /dev/net/tun may not be opened by this user.
    case driverForbidden
    /// Making or opening this device needs a privilege.
    case forbidden(name: String)
    /// A device of this name exists, and one was to be made.
    case nameTaken(name: String)
    /// No device of this name exists, and one was to be adopted.
    case missing(name: String)
    /// The device of this name is not a TAP, or is one with several queues.
    case wrongKind(name: String)
    /// Another process has the device open.
    case held(name: String)
    /// The kernel is too old for a feature without which Heddle cannot work.
    case unsupported(feature: String, errno: Errno)
    case system(operation: String, name: String, errno: Errno)

    package var description: String {
        switch self {
        case .invalidName(let name):
            "'\(name)' cannot be a device's name: it takes 1 to 15 bytes "
                + "without '/', ':', '%' or white space"
        case .noDriver(let errno):
            "cannot open /dev/net/tun: \(errno); load the driver with 'modprobe tun', or in a "
                + "container pass the device in ('mknod /dev/net/tun c 10 200')"
        case .driverForbidden:
            "cannot open /dev/net/tun: permission denied; run as root, or allow it with "
                + "'chmod 0666 /dev/net/tun'"
        case .forbidden(let name):
            "cannot open TAP device '\(name)': it needs CAP_NET_ADMIN in its network namespace; "
                + "run as root, or use --sandbox"
        case .nameTaken(let name):
            "cannot make TAP device '\(name)': a device of this name exists; "
                + "delete it ('ip link delete \(name)'), or choose another name"
        case .missing(let name):
            "cannot adopt TAP device '\(name)': there is no such device in this namespace"
        case .wrongKind(let name):
            "cannot adopt device '\(name)': it is not a TAP device with one queue"
        case .held(let name):
            "cannot open TAP device '\(name)': another process has it open; stop that process, "
                + "or attach the device as 'device: {name: \(name)}'"
        case .unsupported(let feature, let errno):
            "the kernel's TAP driver lacks \(feature): \(errno); Linux 5.10 or later has it"
        case .system(let operation, let name, let errno):
            "cannot \(operation) TAP device '\(name)': \(errno)"
        }
    }
}
