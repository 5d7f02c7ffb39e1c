import CLinux
import Foundation
import Testing

@testable import Ports

/// The other end of a socket port, as plain system calls. It never blocks for long.
final class SocketPeer {
    private(set) var descriptor: Int32

    init(_ descriptor: Int32) {
        precondition(descriptor >= 0)
        self.descriptor = descriptor
    }

    deinit { close() }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Connects where somebody listens.
    static func connect(_ kind: UnixEndpoint.Kind, _ path: String) throws -> SocketPeer {
        SocketPeer(try #require(try UnixEndpoint.connect(kind, path), "nobody at \(path)"))
    }

    static func listen(_ kind: UnixEndpoint.Kind, _ path: String) throws -> SocketPeer {
        SocketPeer(try UnixEndpoint.bind(kind, path, access: UnixEndpoint.Access()))
    }

    /// A datagram socket of the name that sends to `path`.
    static func datagrams(at name: String, to path: String? = nil) throws -> SocketPeer {
        let peer = SocketPeer(
            try UnixEndpoint.bind(.datagram, name, access: UnixEndpoint.Access()))
        if let path { try peer.aim(at: path) }
        return peer
    }

    func aim(at path: String) throws {
        var address = try UnixEndpoint.address(path)
        try #require(NamedSocket.connect(descriptor, &address) == 0, "\(path): errno \(errno)")
    }

    func accept(seconds: Double = 5) throws -> SocketPeer {
        try #require(waitReadable(seconds: seconds), "nobody connected")
        return SocketPeer(try #require(UnixEndpoint.accept(descriptor)))
    }

    func waitReadable(seconds: Double = 5) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, Int32(seconds * 1000)) == 1
    }

    /// What one write took, or minus errno.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Int {
        let count = Glibc.send(
            descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        return count < 0 ? -Int(errno) : count
    }

    /// Sends without connecting first.
    @discardableResult
    func send(_ bytes: [UInt8], to path: String) throws -> Int {
        var address = try UnixEndpoint.address(path)
        let count = UnixEndpoint.withSocketAddress(&address) {
            sendto(
                descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), $0,
                socklen_t(MemoryLayout<sockaddr_un>.size))
        }
        return count < 0 ? -Int(errno) : count
    }

    /// One read of at most `limit` bytes: nil when nothing waits, empty at the end.
    func read(_ limit: Int = 1 << 20, seconds: Double = 0) -> [UInt8]? {
        guard waitReadable(seconds: seconds) else { return nil }
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(descriptor, &bytes, limit, Int32(MSG_DONTWAIT))
        // Closed with something unread.
        if count < 0, errno == ECONNRESET { return [] }
        return count < 0 ? nil : Array(bytes.prefix(count))
    }

    /// All that a stream brings within the time, or at least so many bytes.
    func readStream(_ count: Int, seconds: Double = 5) -> [UInt8] {
        let deadline = Date(timeIntervalSinceNow: seconds)
        var all: [UInt8] = []
        while all.count < count, Date() < deadline {
            guard let piece = read(seconds: 0.05) else { continue }
            if piece.isEmpty { break }
            all += piece
        }
        return all
    }

    /// Whether the other side has closed the connection.
    func hasEnded(seconds: Double = 5) -> Bool {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while Date() < deadline {
            if let piece = read(seconds: 0.05), piece.isEmpty { return true }
        }
        return false
    }
}

/// Frames as a stream carries them.
enum FrameStream {
    static func encode(_ frame: [UInt8]) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: frame.count >> (24 - 8 * $0)) } + frame
    }

    static func encode(_ frames: [[UInt8]]) -> [UInt8] { frames.flatMap(encode) }

    /// The frames of a stream, and the bytes left over; nil when it cannot be one.
    static func decode(_ bytes: [UInt8]) -> (frames: [[UInt8]], rest: [UInt8])? {
        var frames: [[UInt8]] = []
        var place = 0
        while bytes.count - place >= 4 {
            let length = bytes[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length > 0, length <= 70_000 else { return nil }
            guard bytes.count - place - 4 >= length else { break }
            frames.append(Array(bytes[place + 4..<place + 4 + length]))
            place += 4 + length
        }
        return (frames, Array(bytes[place...]))
    }
}
