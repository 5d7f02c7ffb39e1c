// The namespaces of `--sandbox`: a user, a network and a mount namespace of one's own, in which an
// ordinary user may make devices and namespaces, and from which nothing gets out.
//
// Both functions change the calling process itself, so they must run before any thread starts:
// the kernel refuses a process with several threads, and a mount namespace cannot be one thread's.

import CLinux
import Glibc
import Netlink
import SystemPackage

package enum Sandbox {
    /// Enters new namespaces. The current user and group become 0 inside; mounts made inside stay
    /// inside; the loopback device is up.
    package static func enter() throws {
        let (user, group) = (geteuid(), getegid())
        guard unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) == 0 else {
            throw SandboxError(.current)
        }
        do {
            // Without this, an unprivileged process may not map its group (user_namespaces(7)).
            try FileDescriptor.write("deny", toFile: "/proc/self/setgroups")
            try FileDescriptor.write("0 \(user) 1", toFile: "/proc/self/uid_map")
            try FileDescriptor.write("0 \(group) 1", toFile: "/proc/self/gid_map")
        } catch {
            throw SandboxError(error)
        }
        try check(
            mount("none", "/", nil, UInt(MS_REC | MS_PRIVATE), nil), "make the mounts private")
        let socket = try NetlinkSocket()
        if let loopback = try socket.link(.name("lo")) {
            try socket.setUp(loopback.index, true)
        }
    }

    /// Mounts a tmpfs that only this process and its children see: what is in it goes with them.
    package static func mountPrivateDirectory(at path: String) throws(SystemError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST,
            mount("heddle", path, "tmpfs", UInt(MS_NOSUID | MS_NODEV), "mode=0700") == 0
        else {
            throw SystemError(
                "mount a private directory at '\(path)'", .current,
                remedy: "choose a writable place with --socket PATH")
        }
    }

    package static func removePrivateDirectory(at path: String) {
        umount2(path, Int32(MNT_DETACH))
        rmdir(path)
    }

    /// Joins the namespaces of another process, whose /proc/PID/ns/{user,mnt,net} were opened;
    /// the descriptors stay open. The working directory is kept where it exists there too.
    package static func joinNamespaces(
        user: FileDescriptor, mount: FileDescriptor, network: FileDescriptor
    ) throws(SystemError) {
        let directory = getcwd(nil, 0)
        defer { free(directory) }
        // The user namespace first: it gives the privilege to join the others. To join one's own
        // is refused (EINVAL), and needless.
        if !isOwn(user, "user") {
            try check(
                setns(user.rawValue, CLONE_NEWUSER), "join the user namespace",
                remedy: "only its maker and root may, and before any thread starts")
            // Somebody unmapped there, such as root outside: become its user 0.
            if geteuid() != 0 {
                try check(setresgid(0, 0, 0), "become group 0 of the sandbox")
                try check(setresuid(0, 0, 0), "become user 0 of the sandbox")
            }
        }
        try check(setns(mount.rawValue, CLONE_NEWNS), "join the mount namespace")
        try check(setns(network.rawValue, CLONE_NEWNET), "join the network namespace")
        if let directory { chdir(directory) }
    }

    private static func isOwn(_ namespace: FileDescriptor, _ kind: String) -> Bool {
        var (own, other) = (stat(), stat())
        return stat("/proc/self/ns/\(kind)", &own) == 0 && fstat(namespace.rawValue, &other) == 0
            && own.st_dev == other.st_dev && own.st_ino == other.st_ino
    }
}

/// Why there is no sandbox, and which setting forbids it.
package enum SandboxError: Error, Equatable, CustomStringConvertible {
    /// kernel.unprivileged_userns_clone is 0 (Debian's kernels before 5.10).
    case unprivilegedNamespacesDisabled
    /// user.max_user_namespaces is 0, or used up.
    case tooManyNamespaces(limit: String)
    /// kernel.apparmor_restrict_unprivileged_userns is 1 (Ubuntu since 23.10).
    case restrictedByAppArmor
    /// The process has threads already: Heddle's mistake, not the operator's.
    case threadsRunning
    /// Something else, such as a container's seccomp filter.
    case refused(Errno)

    init(_ errno: Errno) {
        self.init(errno) { try? FileDescriptor.contents(ofFile: "/proc/sys/\($0)") }
    }

    /// - Parameter setting: reads a file under /proc/sys; nil when it does not exist.
    init(_ errno: Errno, setting: (String) -> String?) {
        func value(_ path: String) -> String? {
            setting(path).map { String($0.prefix { !$0.isWhitespace }) }
        }
        let limit = value("user/max_user_namespaces")
        if errno == .invalidArgument {
            self = .threadsRunning
        } else if value("kernel/unprivileged_userns_clone") == "0" {
            self = .unprivilegedNamespacesDisabled
        } else if limit == "0" || errno == .noSpace || errno == .tooManyUsers {
            self = .tooManyNamespaces(limit: limit ?? "unknown")
        } else if value("kernel/apparmor_restrict_unprivileged_userns") == "1" {
            self = .restrictedByAppArmor
        } else {
            self = .refused(errno)
        }
    }

    package var description: String {
        let problem = "cannot make a sandbox: "
        return switch self {
        case .unprivilegedNamespacesDisabled:
            problem + "this kernel lets only root make user namespaces; "
                + "'sysctl kernel.unprivileged_userns_clone=1' allows it, or run as root"
        case .tooManyNamespaces(let limit):
            problem + "the limit of user namespaces (\(limit)) is reached; "
                + "raise it with 'sysctl user.max_user_namespaces=65536'"
        case .restrictedByAppArmor:
            problem + "AppArmor restricts user namespaces on this machine; "
                + "'sysctl kernel.apparmor_restrict_unprivileged_userns=0' lifts that, "
                + "or run as root"
        case .threadsRunning:
            problem + "the process already has several threads, which is a mistake in Heddle"
        case .refused(let errno):
            problem + "\(errno); a container's seccomp profile may forbid user namespaces: "
                + "run as root, or outside the container"
        }
    }
}
