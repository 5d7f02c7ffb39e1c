import CLinux
import Glibc

/// Why a port or a worker could not be set up.
package enum PortError: Error, CustomStringConvertible {
    /// A system call failed: its name, what it was for, and errno.
    case kernel(String, object: String, Int32)
    /// The UDP port of an encapsulation is bound by someone else in this network namespace: by a
    /// device of the kernel, if one is named.
    case underlayPortTaken(kind: String, address: String, port: UInt16, device: String? = nil)
    /// Every source port that was tried is taken.
    case noSourcePort(kind: String, address: String)
    /// GRE needs raw sockets, and this process may not have them.
    case rawSocketForbidden(kind: String)

    package var description: String {
        switch self {
        case .kernel(let call, let object, let code):
            "\(object): \(call) failed: \(String(cString: strerror(code)))"
        case .underlayPortTaken(let kind, let address, let port, let device?):
            "underlay \(kind): UDP port \(port) of \(address) is taken in this network namespace by "
                + "the kernel's \(kind) device '\(device)': 'ip link delete \(device)', or set "
                + "'overlay.port'"
        case .underlayPortTaken(let kind, let address, let port, nil):
            "underlay \(kind): UDP port \(port) of \(address) is taken in this network namespace: "
                + "a kernel \(kind) device may hold it ('ip -d link show type \(kind)'), or another "
                + "switch ('ss -lunp sport = \(port)'); delete it, or set 'overlay.port'"
        case .noSourcePort(let kind, let address):
            "underlay \(kind): no UDP port of \(address) from 49152 to 65535 is free to send from; "
                + "see what holds them: 'ss -uanp'"
        case .rawSocketForbidden(let kind):
            "underlay \(kind): it needs CAP_NET_RAW in its network namespace for raw sockets; run "
                + "as root, or use --sandbox"
        }
    }
}
