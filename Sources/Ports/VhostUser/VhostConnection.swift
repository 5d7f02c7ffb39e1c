import CLinux
import Glibc

/// A connected front-end: its socket, its session, and what the session has of the system.
///
/// Thread: one at a time, which the owner sees to.
final class VhostConnection {
    private var channel: VhostChannel
    let session: VhostSession
    private let host: VhostHost
    /// The process at the other end, for listings.
    let peer: String
    /// Whether anything that it said was served.
    private(set) var hasServed = false

    /// How reading ended.
    enum Outcome {
        /// All is read, for now.
        case idle
        /// There may be more: others' turn.
        case more
        /// A reply waits for the socket to take it.
        case sending
        /// The front-end has gone.
        case ended
        /// The front-end is to go: why.
        case refused(VhostFault)
    }

    /// Messages that are served before others have their turn.
    private static let messagesPerTurn = 64

    /// - Parameter descriptor: of a stream socket, which this closes.
    init(
        _ descriptor: Int32, device: any VhostDevice, queuePairs: Int, mtu: UInt16?
    ) throws(PortError) {
        channel = VhostChannel(descriptor)
        peer = VhostConnection.describePeer(descriptor)
        host = try VhostHost()
        session = VhostSession(
            device: device, system: host, queuePairs: queuePairs, mtu: mtu)
    }

    var descriptor: Int32 { channel.descriptor }
    /// Readable when the front-end has cut its memory short.
    var memoryFault: Int32 { host.memoryFault }

    /// Serves the messages that are there.
    func serve() -> Outcome {
        guard channel.flush() else { return .ended }
        for _ in 0..<VhostConnection.messagesPerTurn {
            if channel.isSending { return .sending }
            do {
                switch try channel.read() {
                case .nothing: return .idle
                case .end: return .ended
                case .message(let complete):
                    let reply = try session.receive(complete)
                    hasServed = true
                    if let reply, !channel.send(reply) { return .ended }
                }
            } catch { return .refused(error) }
        }
        return .more
    }

    /// Whether the front-end has closed the connection, even if that was not read yet.
    var hasHungUp: Bool {
        var interest = pollfd(fd: descriptor, events: Int16(POLLRDHUP), revents: 0)
        return poll(&interest, 1, 0) > 0
            && interest.revents & Int16(POLLRDHUP | POLLHUP | POLLERR) != 0
    }

    /// The name and number of the process that connected or listens, as far as they can be known.
    private static func describePeer(_ descriptor: Int32) -> String {
        var credentials = ucred()
        var byteCount = socklen_t(MemoryLayout<ucred>.size)
        guard
            getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &byteCount) == 0,
            credentials.pid > 0
        else { return "a front-end" }
        let file = open("/proc/\(credentials.pid)/comm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "process \(credentials.pid)" }
        defer { close(file) }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { bytes in
            let count = read(file, bytes.baseAddress, bytes.count)
            let name = bytes[..<max(count, 0)].prefix { $0 != UInt8(ascii: "\n") }
            guard !name.isEmpty else { return "process \(credentials.pid)" }
            return String(decoding: name, as: UTF8.self) + " pid \(credentials.pid)"
        }
    }
}
