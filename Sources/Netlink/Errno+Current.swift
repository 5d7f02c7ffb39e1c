import Glibc
import SystemPackage

extension Errno {
    /// What the last failed system call of this thread left behind; read it before any other call.
    static var current: Errno { Errno(rawValue: errno) }
}
