import CLinux
import Foundation
import TestSupport

/// A network namespace of the bench's, under the private /run/netns.
struct Namespace: Sendable {
    let name: String
    var path: String { "/run/netns/\(name)" }

    /// Makes it, silent: no IPv6, so that no router solicitation or duplicate address detection
    /// is among the frames that are counted.
    static func make(_ name: String) throws -> Namespace {
        let namespace = Namespace(name: name)
        try Program.run(["ip", "netns", "add", name])
        try namespace.enter {
            for scope in ["all", "default"] {
                // A kernel without IPv6 has no such file.
                try? "1".write(
                    toFile: "/proc/sys/net/ipv6/conf/\(scope)/disable_ipv6", atomically: false,
                    encoding: .utf8)
            }
        }
        return namespace
    }

    func remove() { _ = try? Program.run(["ip", "netns", "delete", name]) }

    /// Runs `ip` commands, one a line.
    func configure(_ commands: [String]) throws {
        let file = "/run/heddle-bench/batch"
        try commands.joined(separator: "\n").write(
            toFile: file, atomically: false, encoding: .utf8)
        try Program.run(["ip", "-n", name, "-batch", file])
    }

    /// Runs the closure on a thread that has entered the namespace.
    func enter<Value>(core: Int? = nil, _ body: () throws -> Value) throws -> Value {
        try Placement.run(namespace: self, core: core, body)
    }

    /// What a device of the namespace has received and sent since it exists.
    func counters(of device: String) throws -> InterfaceCounters {
        let table = try enter { try KernelFile.read("/proc/thread-self/net/dev") }
        if let counters = InterfaceCounters(of: device, in: table.utf8) { return counters }
        throw NotMeasured("namespace \(name) has no device '\(device)'")
    }

    func hasDevice(_ device: String) -> Bool { (try? counters(of: device)) != nil }
}
