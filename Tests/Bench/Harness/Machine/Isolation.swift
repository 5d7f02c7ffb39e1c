import CLinux
import Foundation
import TestSupport

/// Namespaces around the whole benchmark: network, mount and process, and user if it is not root who
/// runs it. Inside, /run is an empty tmpfs, so that `ip netns` and the switches' run directories do
/// not reach the machine, and the bench is process 1, so that nothing it started outlives it.
///
/// The process outside only waits. It is tied to those inside by parent-death signals: however it
/// ends (Ctrl-C, SIGTERM, SIGKILL), the kernel ends them, and with them namespaces and devices.
enum Isolation {
    private static let mark = "HEDDLE_BENCH_INSIDE"

    static var isInside: Bool { ProcessInfo.processInfo.environment[mark] != nil }

    /// Runs this program again inside, with the same arguments; gives its exit code.
    static func runInside() throws -> Int32 {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        var command = ["setpriv", "--pdeathsig", "KILL", "unshare"]
        if geteuid() != 0 { command += ["--user", "--map-root-user"] }
        command += [
            "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
            "env", "\(mark)=1", program,
        ]
        command += CommandLine.arguments.dropFirst()
        var strings = command.map { strdup($0) }
        strings.append(nil)
        defer { for string in strings { free(string) } }
        var process: pid_t = 0
        let error = posix_spawnp(
            &process, command[0], nil, nil, strings, clinux_environment())
        guard error == 0 else {
            throw SystemCallFailure("run '\(command[0])' (of util-linux)", errno: error)
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return clinux_exited(status) ? clinux_exit_code(status) : 128 + clinux_signal(status)
    }

    /// Makes what the bench needs inside; to be called once, at the start.
    static func furnish() throws {
        // unshare has made all mounts private.
        guard mount("none", "/run", "tmpfs", 0, "mode=0755") == 0 else {
            throw SystemCallFailure("mount a private /run", errno: errno)
        }
        for directory in ["/run/netns", "/run/heddle-bench"] {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true)
        }
        guard access("/dev/net/tun", R_OK | W_OK) == 0 else {
            throw SystemCallFailure(
                "open /dev/net/tun (load the module tun, or run as root)", errno: errno)
        }
    }
}
