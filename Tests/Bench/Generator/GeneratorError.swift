import Glibc
import TestSupport

/// Why a run could not be made or does not count.
enum GeneratorError: Error, CustomStringConvertible {
    /// A system call failed: what was to be done, and its errno.
    case system(operation: String, errno: Int32)
    /// The machine did something during the run after which its numbers mean nothing.
    case invalid(String)

    var description: String {
        switch self {
        case .system(let operation, let errno):
            SystemCallFailure(operation, errno: errno).description
        case .invalid(let reason): reason
        }
    }
}

/// Passes a system call's result on, or throws what `errno` says.
@discardableResult
func check<Result: SignedInteger>(
    _ result: Result, _ operation: @autoclosure () -> String
) throws(GeneratorError) -> Result {
    guard result >= 0 else {
        let errno = Glibc.errno
        throw .system(operation: operation(), errno: errno)
    }
    return result
}
