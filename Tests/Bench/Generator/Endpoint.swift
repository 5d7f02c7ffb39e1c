import ArgumentParser
import CLinux
import Glibc
import TestSupport

/// A network interface in a network namespace, as it is written: `NETNS:IF`, where NETNS is a path or
/// `-` for the current namespace.
struct Endpoint: ExpressibleByArgument, CustomStringConvertible, Sendable {
    let namespace: String
    let interface: String

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), colon > argument.startIndex,
            argument.index(after: colon) < argument.endIndex
        else { return nil }
        namespace = String(argument[..<colon])
        interface = String(argument[argument.index(after: colon)...])
    }

    var description: String { "\(namespace):\(interface)" }

    /// Opens a socket on it, and its counters.
    func attach() throws -> Attachment {
        try inside { try Attachment(interface) }
    }

    /// Runs `body` in its network namespace, on a thread of its own, and waits for it.
    func inside<Value>(_ body: () throws -> Value) throws -> Value {
        let path = namespace == "-" ? "/proc/thread-self/ns/net" : namespace
        let descriptor = try check(
            clinux_open_mode(path, O_RDONLY | O_CLOEXEC, 0), "open the network namespace '\(path)'")
        defer { close(descriptor) }
        return try PinnedThread.run(in: descriptor, body)
    }
}
