import Glibc

/// A system call of a test or of the benchmark that failed.
package struct SystemCallFailure: Error, CustomStringConvertible {
    /// What was to be done, as a verb: "open /proc/stat".
    package let operation: String
    package let errno: Int32

    package init(_ operation: String, errno: Int32) {
        self.operation = operation
        self.errno = errno
    }

    package var description: String {
        let remedy = errno == EPERM ? "; it needs root or CAP_NET_RAW and CAP_SYS_ADMIN" : ""
        return "cannot \(operation): \(String(cString: strerror(errno)))\(remedy)"
    }
}
