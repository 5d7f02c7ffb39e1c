import CLinux
import Glibc
import Netlink
import Ports
import SystemPackage
import TestSupport
import Testing

@testable import Control

/// A sandbox changes its own process and refuses one with threads. So each test runs in a process
/// of its own (an exit test) and there forks, which leaves the child a single thread.
@Suite("A sandbox", .serialized, .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct SystemSandboxTests {
    @Test("has devices of its own, is user 0 inside, and lets another process join")
    func enterAndJoin() async {
        await #expect(processExitsWith: .exitCode(0)) {
            var (ready, done): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
            try check(pipe2(&ready, O_CLOEXEC), "make a pipe")
            try check(pipe2(&done, O_CLOEXEC), "make a pipe")
            let path = "/tmp/heddle-sandbox-\(getpid())"

            // The first child makes the sandbox, and holds it open until it is told.
            let first = inChild {
                try Sandbox.enter()
                guard geteuid() == 0, Capabilities.effective.contains([.netAdmin, .sysAdmin])
                else { throw SystemError("be user 0", .notPermitted) }
                try check(mkdir(path, 0o700), "make a directory")
                try check(mount("none", path, "tmpfs", 0, nil), "mount inside")
                let namespace = try NetworkNamespace.create(
                    named: "web-1", in: path + "/netns")
                let device = try TAPProvisioner.provision(
                    TAPInterface(name: "inside", mark: "heddle-test-inside"), .create,
                    in: namespace.descriptor)
                let outside = try TAPDevice("sandboxed", .create)
                write(ready[1], "x", 1)
                var byte: UInt8 = 0
                read(done[0], &byte, 1)
                withExtendedLifetime((device, outside)) {}
            }
            var byte: UInt8 = 0
            var polled = pollfd(fd: ready[0], events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, 10_000) == 1, read(ready[0], &byte, 1) == 1 else { exit(2) }

            // The second joins, and finds what the first made.
            let second = inChild {
                func open(_ kind: String) throws -> FileDescriptor {
                    try .open(FilePath("/proc/\(first)/ns/\(kind)"), .readOnly)
                }
                let user = try open("user")
                let network = try open("net")
                try Sandbox.joinNamespaces(
                    user: user, mount: try open("mnt"), network: network)
                guard geteuid() == 0, if_nametoindex("sandboxed") != 0 else {
                    throw SystemError("see the sandbox's device", .noSuchFileOrDirectory)
                }
                guard
                    let namespace = try NetworkNamespace.open(
                        named: "web-1", in: path + "/netns"),
                    try namespace.run({ if_nametoindex("inside") }) != 0
                else { throw SystemError("see the sandbox's mounts", .noSuchFileOrDirectory) }
            }
            let joined = status(of: second)
            let isHidden = if_nametoindex("sandboxed") == 0 && access(path + "/netns", F_OK) != 0
            write(done[1], "x", 1)
            let entered = status(of: first)
            rmdir(path)
            guard joined == 0, entered == 0, isHidden else { exit(3) }
            exit(0)
        }
    }

    @Test("is refused to a process with threads, which stays where it was")
    func threads() throws {
        let before = try NetworkNamespace.current().identity
        #expect(throws: SandboxError.threadsRunning) { try Sandbox.enter() }
        #expect(try NetworkNamespace.current().identity == before)
    }
}

/// Forks; the child runs `body`, for 20 s at most, and exits with 0, or says why not.
private func inChild(_ body: () throws -> Void) -> pid_t {
    typealias Fork = @convention(c) () -> pid_t
    // Swift hides fork, because a child of a process with threads may find locks held. The parent
    // is idle here.
    let fork = unsafeBitCast(dlsym(nil, "fork"), to: Fork.self)
    let process = fork()
    if process != 0 { return process }
    alarm(20)
    do {
        try body()
        _exit(0)
    } catch {
        print("in the child: \(error)")
        fflush(nil)
        _exit(1)
    }
}

private func status(of process: pid_t) -> Int32 {
    var status: Int32 = -1
    waitpid(process, &status, 0)
    return status
}
