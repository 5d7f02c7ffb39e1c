import CLinux
import Glibc

/// Why a port or a worker could not be set up.
package enum PortError: Error, CustomStringConvertible {
    /// A system call failed: its name, what it was for, and errno.
    case kernel(String, object: String, Int32)
    /// A file of a pcap port could not be used; the text says why and what would help.
    case file(String, reason: String)

    package var description: String {
        switch self {
        case .kernel(let call, let object, let code):
            "\(object): \(call) failed: \(String(cString: strerror(code)))"
        case .file(let path, let reason): "'\(path)': \(reason)"
        }
    }
}
