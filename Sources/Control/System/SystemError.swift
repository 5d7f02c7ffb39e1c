import SystemPackage

/// A system call that failed: what was being done, to what, why, and what would help.
package struct SystemError: Error, Equatable, CustomStringConvertible {
    /// As in "cannot `operation`".
    package let operation: String
    package let errno: Errno
    /// What the operator can do about it, where that is known.
    package let remedy: String?

    package init(_ operation: String, _ errno: Errno, remedy: String? = nil) {
        self.operation = operation
        self.errno = errno
        self.remedy = remedy
    }

    package var description: String {
        "cannot \(operation): \(errno)" + (remedy.map { "; \($0)" } ?? "")
    }
}

/// Turns a system call's -1 into an error.
@discardableResult
func check(
    _ result: Int32, _ operation: @autoclosure () -> String, remedy: String? = nil
) throws(SystemError) -> Int32 {
    guard result >= 0 else {
        // Before anything else runs that may overwrite errno.
        let errno = Errno.current
        throw SystemError(operation(), errno, remedy: remedy)
    }
    return result
}
