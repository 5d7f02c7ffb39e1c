import CLinux
import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Control

@Suite("A child process")
struct SystemChildProcessTests {
    @Test("hands over its output, its errors and how it ended")
    func outcome() throws {
        let outcome = try ChildProcess.run(
            ["sh", "-c", "echo out; echo err >&2; exit 3"], timeout: .seconds(10))
        #expect(outcome.standardOutput == "out\n")
        #expect(outcome.standardError == "err\n")
        #expect(outcome.end == .exited(3))
        let killed = try ChildProcess.run(["sh", "-c", "kill -9 $$"], timeout: .seconds(10))
        #expect(killed.end == .signalled(9))
    }

    @Test("that takes too long is ended with all that it started")
    func timeout() throws {
        let start = ContinuousClock.now
        let outcome = try ChildProcess.run(
            ["sh", "-c", "echo begun; sleep 30 & sleep 30"], timeout: .milliseconds(200))
        #expect(outcome.end == .timedOut)
        #expect(outcome.standardOutput == "begun\n")
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test("does not hold its caller when a grandchild keeps the pipes open")
    func grandchild() throws {
        let start = ContinuousClock.now
        let outcome = try ChildProcess.run(
            ["sh", "-c", "sleep 6 & echo done"], timeout: .seconds(20))
        #expect(outcome.standardOutput == "done\n")
        #expect(outcome.isSuccess)
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test("that writes more than is kept is not stopped by it")
    func muchOutput() throws {
        let outcome = try ChildProcess.run(
            ["sh", "-c", "head -c 3000000 /dev/zero"], timeout: .seconds(20))
        #expect(outcome.isSuccess)
        #expect(outcome.standardOutput.utf8.count == 1 << 20)
    }

    @Test("that does not exist is an error with a remedy")
    func missing() {
        #expect {
            try ChildProcess.run(["no-such-program"], timeout: .seconds(1))
        } throws: {
            "\($0)".contains("install it")
        }
    }

    @Test(
        "runs in the network namespace it is given",
        .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
    func namespace() throws {
        try inFreshNamespace {
            let namespace = try NetworkNamespace.current()
            let outcome = try NamespaceThread.run(.new) {
                try ChildProcess.run(
                    ["stat", "-Lc", "%i", "/proc/self/ns/net"], in: namespace.descriptor,
                    timeout: .seconds(10))
            }
            #expect(outcome.standardOutput == "\(namespace.identity.inode)\n")
        }
    }
}

@Suite("A process's own state")
struct SystemStateTests {
    @Test("Capabilities are read from the kernel's mask")
    func capabilities() {
        let status = "Name:\theddle\nCapInh:\tffffffffffffffff\nCapEff:\t0000000000003000\n"
        #expect(Capabilities(status: status) == [.netAdmin, .netRaw])
        #expect(Capabilities(status: status).description == "CAP_NET_ADMIN CAP_NET_RAW")
        #expect(Capabilities(status: "Name:\theddle\n") == [])
    }

    @Test("The lock of an instance is held by one, and named in the other's refusal")
    func lock() throws {
        let path = "/tmp/heddle-lock-\(getpid())"
        defer { unlink(path) }
        var first: InstanceLock? = try InstanceLock(path: path)
        #expect(first?.path == path)
        #expect(throws: InstanceLock.Failure.held(path: path, by: getpid(), option: "--socket")) {
            try InstanceLock(path: path)
        }
        first = nil
        _ = try InstanceLock(path: path)
    }

    @Test(
        "Signals are read from a descriptor",
        .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
    func signals() throws {
        // On a thread of its own: a blocked mask must not stay with one of the test runner's.
        let received = try NamespaceThread.run(.new) {
            let signals = try SignalDescriptor([SIGUSR1, SIGUSR2])
            #expect(signals.next() == nil)
            pthread_kill(pthread_self(), SIGUSR2)
            return signals.wait()
        }
        #expect(received == SIGUSR2)
    }

    @Test(
        "A refused sandbox names the setting that forbids it",
        arguments: [
            (Errno.invalidArgument, [:], SandboxError.threadsRunning),
            (
                .notPermitted, ["kernel/unprivileged_userns_clone": "0\n"],
                .unprivilegedNamespacesDisabled
            ),
            (.noSpace, ["user/max_user_namespaces": "0\n"], .tooManyNamespaces(limit: "0")),
            (.noSpace, ["user/max_user_namespaces": "100\n"], .tooManyNamespaces(limit: "100")),
            (
                .notPermitted, ["kernel/apparmor_restrict_unprivileged_userns": "1\n"],
                .restrictedByAppArmor
            ),
            (.notPermitted, ["user/max_user_namespaces": "9\n"], .refused(.notPermitted)),
        ] as [(Errno, [String: String], SandboxError)])
    func sandboxRefusals(errno: Errno, settings: [String: String], expected: SandboxError) {
        #expect(SandboxError(errno) { settings[$0] } == expected)
    }
}
