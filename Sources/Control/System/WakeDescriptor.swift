import CLinux
import SystemPackage

/// Wakes a thread that waits in poll: readable once it was signalled, until it is cleared (eventfd(2)).
final class WakeDescriptor: Sendable {
    /// Owned by this object.
    let descriptor: FileDescriptor

    init() throws(SystemError) {
        descriptor = FileDescriptor(
            rawValue: try check(
                eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)), "make an eventfd"))
    }

    deinit {
        try? descriptor.close()
    }

    func signal() {
        var one: UInt64 = 1
        _ = write(descriptor.rawValue, &one, 8)
    }

    func clear() {
        var value: UInt64 = 0
        _ = read(descriptor.rawValue, &value, 8)
    }
}
