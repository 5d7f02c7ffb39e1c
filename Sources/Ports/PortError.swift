import CLinux
import Glibc

/// Why a port or a worker could not be set up.
package enum PortError: Error, CustomStringConvertible {
    /// A system call failed: its name, what it was for, and errno.
    case kernel(String, object: String, Int32)

    package var description: String {
        switch self {
        case .kernel(let call, let object, let code):
            "\(object): \(call) failed: \(String(cString: strerror(code)))"
        }
    }
}
