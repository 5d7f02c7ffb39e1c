import Glibc
import SystemPackage

/// Users and groups of the machine, by name or number.
enum Account {
    static func user(_ name: String) throws(SystemError) -> UInt32 {
        if let number = UInt32(name) { return number }
        guard let entry = getpwnam(name) else {
            throw SystemError(
                "find the user '\(name)'", .noSuchFileOrDirectory,
                remedy: "name one of this machine ('getent passwd'), or give its number")
        }
        return entry.pointee.pw_uid
    }

    static func group(_ name: String) throws(SystemError) -> UInt32 {
        if let number = UInt32(name) { return number }
        guard let entry = getgrnam(name) else {
            throw SystemError(
                "find the group '\(name)'", .noSuchFileOrDirectory,
                remedy: "name one of this machine ('getent group'), or give its number")
        }
        return entry.pointee.gr_gid
    }
}
