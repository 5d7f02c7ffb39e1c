import CLinux
import Glibc

/// The system as a session uses it: the kernel's mappings and descriptors.
final class VhostHost: VhostSystem {
    /// An eventfd that is readable when a mapped file was cut short under a worker.
    let memoryFault: Int32

    init() throws(PortError) {
        memoryFault = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard memoryFault >= 0 else {
            throw .kernel("eventfd", object: "a vhost-user port", errno)
        }
    }

    deinit { close(memoryFault) }

    func map(
        _ descriptor: PassedDescriptor, offset: UInt64, byteCount: UInt64
    ) throws(VhostFault) -> any SharedMemory {
        try GuestMapping(
            descriptor.rawValue, offset: offset, byteCount: byteCount, fault: memoryFault,
            owner: self)
    }

    func makeFile(
        byteCount: Int
    ) throws(VhostFault) -> (descriptor: PassedDescriptor, memory: any SharedMemory) {
        let descriptor = memfd_create("heddle-inflight", UInt32(MFD_CLOEXEC | MFD_ALLOW_SEALING))
        guard descriptor >= 0 else {
            throw VhostFault("memfd_create: \(String(cString: strerror(errno)))")
        }
        let passed = PassedDescriptor(system: descriptor)
        guard ftruncate(descriptor, byteCount) == 0 else {
            throw VhostFault("ftruncate: \(String(cString: strerror(errno)))")
        }
        // Whoever has it need not expect that it becomes smaller.
        _ = clinux_fcntl_value(
            descriptor, F_ADD_SEALS, Int(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        return (passed, try map(passed, offset: 0, byteCount: UInt64(byteCount)))
    }

    /// An eventfd; a pipe, which the protocol allows; a socket, which User-mode Linux has for one. None
    /// may make a worker wait: it is set not to block.
    func prepare(notifier: PassedDescriptor) throws(VhostFault) {
        var status = stat()
        let kind = fstat(notifier.rawValue, &status) == 0 ? status.st_mode & S_IFMT : S_IFREG
        // What is no file has no type.
        guard
            kind == S_IFIFO || kind == S_IFSOCK
                || (kind == 0 && VhostHost.isEventDescriptor(notifier.rawValue)),
            let flags = VhostHost.flags(notifier.rawValue),
            clinux_fcntl_value(notifier.rawValue, F_SETFL, Int(flags | O_NONBLOCK)) == 0
        else {
            throw VhostFault("the front-end passed a descriptor to notify by that is no eventfd")
        }
    }

    private static func flags(_ descriptor: Int32) -> Int32? {
        let flags = clinux_fcntl_value(descriptor, F_GETFL, 0)
        return flags >= 0 ? flags : nil
    }

    /// True also where /proc is not there to be asked.
    private static func isEventDescriptor(_ descriptor: Int32) -> Bool {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { name in
            let count = readlink("/proc/self/fd/\(descriptor)", name.baseAddress!, 63)
            guard count >= 0 else { return true }
            name[count] = 0
            return String(cString: name.baseAddress!) == "anon_inode:[eventfd]"
        }
    }

    func signal(_ notifier: PassedDescriptor) {
        var one: UInt64 = 1
        _ = clinux_write(notifier.rawValue, &one, 8)
    }
}

extension PassedDescriptor {
    /// One of the kernel's.
    convenience init(system descriptor: Int32) {
        self.init(descriptor, close: { Glibc.close($0) })
    }
}
