// Named network namespaces, as `ip netns` makes them: a file in a directory, on which the
// namespace is mounted, which keeps it alive. The directory is a shared mount of its own, so that
// a namespace made or removed in one mount namespace is made or removed in all.
//
// A name is not an identity: somebody may delete a namespace and make another of that name. What
// identifies it is its inode (device and number of the nsfs file), which the kernel does not reuse
// while the namespace lives; it is what the state on disk records.

import CLinux
import Glibc
import Netlink
import SystemPackage

/// An open network namespace; it cannot vanish while this object lives.
package final class NetworkNamespace: Sendable {
    /// Where `ip netns` keeps its namespaces.
    package static let defaultDirectory = "/run/netns"

    /// What tells one namespace from another, for as long as it lives.
    package struct Identity: Hashable, Sendable, Codable {
        package let device: UInt64
        package let inode: UInt64
    }

    /// Nil for one that was not opened by name.
    package let name: String?
    package let descriptor: FileDescriptor
    package let identity: Identity

    /// Takes over the descriptor, also on failure.
    private init(name: String?, descriptor: FileDescriptor) throws(SystemError) {
        var status = stat()
        guard fstat(descriptor.rawValue, &status) == 0 else {
            let errno = Errno.current
            try? descriptor.close()
            throw SystemError("identify the network namespace", errno)
        }
        self.name = name
        self.descriptor = descriptor
        identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    deinit {
        try? descriptor.close()
    }

    /// The namespace that the calling thread is in.
    package static func current() throws(SystemError) -> NetworkNamespace {
        let descriptor = try check(
            clinux_open_mode("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC, 0),
            "open the current network namespace")
        return try NetworkNamespace(
            name: nil, descriptor: FileDescriptor(rawValue: descriptor))
    }

    /// The namespace of that name, or nil when there is none. A plain file, left behind by a
    /// reboot or an unmount, is none.
    package static func open(
        named name: String, in directory: String = defaultDirectory
    ) throws(SystemError) -> NetworkNamespace? {
        let path = try self.path(name, directory)
        let descriptor = clinux_open_mode(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else {
            let errno = Errno.current
            if errno == .noSuchFileOrDirectory { return nil }
            throw SystemError("open the network namespace '\(name)'", errno)
        }
        var status = statfs()
        guard fstatfs(descriptor, &status) == 0, status.f_type == NSFS_MAGIC else {
            close(descriptor)
            return nil
        }
        return try NetworkNamespace(
            name: name, descriptor: FileDescriptor(rawValue: descriptor))
    }

    /// Makes a namespace of that name, with its loopback device up. Nothing is left on failure.
    package static func create(
        named name: String, in directory: String = defaultDirectory
    ) throws -> NetworkNamespace {
        let path = try self.path(name, directory)
        try prepare(directory)
        let file = clinux_open_mode(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0)
        try check(
            file, "make the network namespace '\(name)'",
            remedy: "if '\(path)' is a left-over, 'ip netns delete \(name)' removes it")
        close(file)
        do {
            try NamespaceThread.run(.new) {
                let socket = try NetlinkSocket()
                if let loopback = try socket.link(.name("lo")) {
                    try socket.setUp(loopback.index, true)
                }
                try check(
                    mount("/proc/thread-self/ns/net", path, "none", UInt(MS_BIND), nil),
                    "mount the network namespace '\(name)' on '\(path)'")
            }
            guard let namespace = try open(named: name, in: directory) else {
                throw SystemError(
                    "open the network namespace '\(name)'", .noSuchFileOrDirectory,
                    remedy: "somebody removed it at once")
            }
            return namespace
        } catch {
            _ = try? remove(named: name, in: directory)
            throw error
        }
    }

    /// Removes the name. The namespace ends with its last user, be it a process or a descriptor.
    ///
    /// - Parameter identity: refuse when the name belongs to another namespace by now.
    /// - Returns: false when there was no such name.
    @discardableResult
    package static func remove(
        named name: String, in directory: String = defaultDirectory,
        expecting identity: Identity? = nil
    ) throws(SystemError) -> Bool {
        let path = try self.path(name, directory)
        if let identity {
            guard let found = try open(named: name, in: directory) else { return false }
            guard found.identity == identity else {
                throw SystemError(
                    "remove the network namespace '\(name)'", .fileExists,
                    remedy: "it is not the one that was made here: somebody made it anew")
            }
        }
        // EINVAL: nothing is mounted on it, a left-over.
        if umount2(path, Int32(MNT_DETACH)) != 0, Errno.current != .invalidArgument {
            let errno = Errno.current
            if errno == .noSuchFileOrDirectory { return false }
            throw SystemError("unmount the network namespace '\(name)'", errno)
        }
        guard unlink(path) == 0 else {
            let errno = Errno.current
            if errno == .noSuchFileOrDirectory { return false }
            throw SystemError("remove the network namespace '\(name)'", errno)
        }
        return true
    }

    /// Runs `body` on a thread of its own in this namespace.
    package func run<Value>(_ body: () throws -> Value) throws -> Value {
        try NamespaceThread.run(.existing(descriptor), body)
    }

    private static func path(
        _ name: String, _ directory: String
    ) throws(SystemError) -> String {
        guard !name.isEmpty, name != ".", name != "..", name.utf8.count <= 255,
            !name.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 })
        else {
            throw SystemError(
                "use '\(name)' as the name of a network namespace", .invalidArgument,
                remedy: "a name is 1 to 255 bytes without '/', and neither '.' nor '..'")
        }
        return directory + "/" + name
    }

    /// Makes the directory a shared mount point, unless it is one. The lock is the one that
    /// iproute2 takes: two at once would stack two mounts.
    private static func prepare(_ directory: String) throws(SystemError) {
        let made = mkdir(directory, 0o755)
        if made != 0, Errno.current != .fileExists {
            try check(
                made, "make the directory '\(directory)'",
                remedy: "its parent must exist and be writable")
        }
        let lock = try check(
            clinux_open_mode(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0),
            "open the directory '\(directory)'")
        defer { close(lock) }
        try check(flock(lock, LOCK_EX), "lock the directory '\(directory)'")
        let shared = UInt(MS_SHARED | MS_REC)
        let mounted = mount("", directory, "none", shared, nil)
        if mounted == 0 { return }
        // EINVAL: it is not a mount point yet.
        if Errno.current != .invalidArgument {
            try check(
                mounted, "share the mounts of '\(directory)'",
                remedy: "it needs CAP_SYS_ADMIN: run as root, or use --sandbox")
        }
        try check(
            mount(directory, directory, "none", UInt(MS_BIND | MS_REC), nil),
            "mount '\(directory)' on itself")
        try check(
            mount("", directory, "none", shared, nil), "share the mounts of '\(directory)'")
    }
}
