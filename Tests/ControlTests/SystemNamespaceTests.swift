import CLinux
import Glibc
import Netlink
import SystemPackage
import TestSupport
import Testing

@testable import Control

@Suite(
    "A named network namespace", .serialized, .enabled(if: canMakeNamespaces, "\(namespacesNeeded)")
)
struct SystemNamespaceTests {
    /// A directory for names, in a mount namespace that ends with the test.
    private func withDirectory(_ body: (String) throws -> Void) throws {
        try inFreshNamespace {
            var template = Array("/tmp/heddle-netns-XXXXXX".utf8CString)
            try #require(mkdtemp(&template) != nil)
            let directory = String(decoding: template.dropLast().map(UInt8.init), as: UTF8.self)
            defer {
                umount2(directory, Int32(MNT_DETACH))
                rmdir(directory)
            }
            try body(directory)
        }
    }

    @Test("is made with its loopback up, found again, and removed")
    func lifecycle() throws {
        try withDirectory { directory in
            #expect(try NetworkNamespace.open(named: "web-1", in: directory) == nil)
            let made = try NetworkNamespace.create(named: "web-1", in: directory)
            let here = try NetworkNamespace.current()
            #expect(made.identity != here.identity)
            try made.run {
                let current = try NetworkNamespace.current()
                #expect(current.identity == made.identity)
                let loopback = try NetlinkSocket().link(.name("lo"))
                #expect(loopback?.flags.contains(.up) == true)
            }
            let after = try NetworkNamespace.current()
            #expect(after.identity == here.identity, "the caller's thread has not moved")

            let found = try #require(try NetworkNamespace.open(named: "web-1", in: directory))
            #expect(found.identity == made.identity)
            #expect(try NetworkNamespace.remove(named: "web-1", in: directory))
            #expect(try NetworkNamespace.open(named: "web-1", in: directory) == nil)
            #expect(try !NetworkNamespace.remove(named: "web-1", in: directory), "twice")
        }
    }

    @Test("is the one that 'ip netns' shows and enters")
    func iproute2() throws {
        try inFreshNamespace {
            // A private /run, so that the default directory is the test's own.
            try check(mount("none", "/run", "tmpfs", 0, nil), "mount a private /run")
            let made = try NetworkNamespace.create(named: "web-1")
            let listing = try ChildProcess.run(["ip", "netns", "list"], timeout: .seconds(10))
            #expect(listing.standardOutput.hasPrefix("web-1"))
            let inside = try ChildProcess.run(
                ["ip", "netns", "exec", "web-1", "stat", "-Lc", "%i", "/proc/self/ns/net"],
                timeout: .seconds(10))
            #expect(inside.standardOutput == "\(made.identity.inode)\n")

            let added = try ChildProcess.run(
                ["ip", "netns", "add", "theirs"], timeout: .seconds(10))
            #expect(added.isSuccess)
            let theirs = try NetworkNamespace.open(named: "theirs")
            #expect(theirs != nil)
        }
    }

    @Test("is not made twice, and not removed in place of another of its name")
    func identity() throws {
        try withDirectory { directory in
            let first = try NetworkNamespace.create(named: "web-1", in: directory)
            #expect {
                try NetworkNamespace.create(named: "web-1", in: directory)
            } throws: {
                ($0 as? SystemError)?.errno == .fileExists
            }
            try NetworkNamespace.remove(named: "web-1", in: directory)
            let second = try NetworkNamespace.create(named: "web-1", in: directory)
            #expect(second.identity != first.identity)
            #expect(throws: SystemError.self) {
                try NetworkNamespace.remove(
                    named: "web-1", in: directory, expecting: first.identity)
            }
            let stillThere = try NetworkNamespace.open(named: "web-1", in: directory)
            #expect(stillThere?.identity == second.identity)
            #expect(
                try NetworkNamespace.remove(
                    named: "web-1", in: directory, expecting: second.identity))
        }
    }

    @Test("is not a plain file that was left behind")
    func leftover() throws {
        try withDirectory { directory in
            close(clinux_open_mode("\(directory)/old", O_CREAT | O_WRONLY, 0))
            let found = try NetworkNamespace.open(named: "old", in: directory)
            #expect(found == nil)
            let isRemoved = try NetworkNamespace.remove(named: "old", in: directory)
            #expect(isRemoved)
            #expect(access("\(directory)/old", F_OK) != 0)
        }
    }

    @Test("has a name that is a file's", arguments: ["", ".", "..", "a/b", "../x"])
    func names(name: String) {
        #expect(throws: SystemError.self) { try NetworkNamespace.create(named: name) }
    }

    @Test("that cannot be entered is an error, not a run in the wrong place")
    func notANamespace() throws {
        let file = try FileDescriptor.open("/dev/null", .readOnly)
        defer { try? file.close() }
        #expect(throws: SystemError.self) {
            try NamespaceThread.run(.existing(file)) { Issue.record("it ran") }
        }
    }
}
