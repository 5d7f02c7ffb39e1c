import CLinux
import Foundation

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
    func counters(of device: String) throws -> DeviceCounters {
        let table = try enter {
            try String(contentsOfFile: "/proc/thread-self/net/dev", encoding: .utf8)
        }
        for line in table.split(separator: "\n") {
            let parts = line.split(separator: ":")
            guard parts.count == 2, parts[0].drop(while: { $0 == " " }) == device else { continue }
            let numbers = parts[1].split(separator: " ").compactMap { UInt64($0) }
            guard numbers.count >= 16 else { break }
            return DeviceCounters(
                receivedBytes: numbers[0], receivedFrames: numbers[1], sentBytes: numbers[8],
                sentFrames: numbers[9], sentDropped: numbers[11])
        }
        throw NotMeasured("namespace \(name) has no device '\(device)'")
    }

    func hasDevice(_ device: String) -> Bool { (try? counters(of: device)) != nil }
}

struct DeviceCounters: Sendable {
    let receivedBytes: UInt64
    let receivedFrames: UInt64
    let sentBytes: UInt64
    let sentFrames: UInt64
    let sentDropped: UInt64
}
