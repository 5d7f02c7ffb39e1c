import SystemPackage

/// Why a netlink request was not carried out, as a sentence that an operator can act on.
package enum NetlinkError: Error, Equatable, CustomStringConvertible {
    /// The kernel answered a request with an error. `message` is its extended acknowledgement.
    case refused(operation: String, object: String, errno: Errno, message: String?)
    /// The socket itself failed: opening, sending or receiving.
    case socket(operation: String, errno: Errno)
    /// The kernel's answer was not one to this request; `detail` says what was odd about it.
    case malformed(operation: String, detail: String)
    /// The links changed faster than they could be listed, several times in a row.
    case interrupted(operation: String)

    /// The kernel's error number, where there is one.
    package var errno: Errno? {
        switch self {
        case .refused(_, _, let errno, _), .socket(_, let errno): errno
        case .malformed, .interrupted: nil
        }
    }

    package var description: String {
        switch self {
        case .refused(let operation, let object, let errno, let message):
            let reason = message.map { "\($0) (\(errno))" } ?? "\(errno)"
            return "cannot \(operation) \(object): \(reason)\(Self.remedy(errno))"
        case .socket(let operation, let errno):
            return "netlink: cannot \(operation): \(errno)\(Self.remedy(errno))"
        case .malformed(let operation, let detail):
            return "netlink: cannot \(operation): the kernel's answer \(detail)"
        case .interrupted(let operation):
            return "netlink: cannot \(operation): the links kept changing meanwhile; try again"
        }
    }

    private static func remedy(_ errno: Errno) -> String {
        switch errno {
        case .notPermitted, .permissionDenied:
            "; this needs CAP_NET_ADMIN in the namespace: run as root, or use --sandbox"
        case .fileExists:
            "; another device or address has it already"
        case .notSupported:
            "; the kernel lacks this kind of device: load its module"
        default:
            ""
        }
    }
}
