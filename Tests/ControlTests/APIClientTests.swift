import ControlAPI
import Foundation
import Testing

/// A peer that accepts one connection, reads a little, sends its bytes and closes.
private final class GarbageServer: Sendable {
    let path: String
    private let descriptor: Int32

    init(_ name: String) throws {
        path =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("heddle-g-\(name)-\(UUID().uuidString.prefix(8))").path
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(bound == 0 && listen(descriptor, 8) == 0)
    }

    deinit {
        close(descriptor)
        unlink(path)
    }

    /// Answers one client with `bytes` in pieces of `piece`, then closes if `closing`, or else
    /// holds the connection until the client closes.
    func answerOnce(_ bytes: [UInt8], piece: Int, closing: Bool = true) {
        DispatchQueue(label: "test.peer").async { [self] in
            let client = accept(descriptor, nil, nil)
            guard client >= 0 else { return }
            var buffer = [UInt8](repeating: 0, count: 4096)
            _ = recv(client, &buffer, buffer.count, 0)
            var sent = 0
            while sent < bytes.count {
                let end = min(sent + piece, bytes.count)
                let count = bytes[sent..<end].withUnsafeBytes {
                    send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { break }
                sent += count
            }
            if !closing { while recv(client, &buffer, buffer.count, 0) > 0 {} }
            close(client)
        }
    }
}

@Suite("The HTTP client", .timeLimit(.minutes(1)))
struct APIClientTests {
    private func exchange(
        _ bytes: [UInt8], piece: Int = 1 << 16, closing: Bool = true, seconds: Int = 10,
        limit: Int = 1 << 20
    ) async throws -> Result<HTTPReply, ClientError> {
        let server = try GarbageServer("c")
        server.answerOnce(bytes, piece: piece, closing: closing)
        return try await blocking {
            var client = HTTPClient(path: SocketPath(option: server.path, environment: [:]))
            client.timeoutSeconds = seconds
            client.maximumReplyByteCount = limit
            do throws(ClientError) {
                return .success(try client.send("GET", "/v1/version"))
            } catch {
                return .failure(error)
            }
        }
    }

    static let good: [(String, String)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "a length"),
        ("HTTP/1.0 200 OK\n\nok", "the end of the stream, and bare line feeds"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "1\r\no\r\n1;x=y\r\nk\r\n0\r\nA: b\r\n\r\n",
            "chunks with an extension and a trailer"
        ),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "interim"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokSURPLUS", "bytes after the end"),
    ]

    @Test("reads a body however it is delimited and however it is cut", arguments: good)
    func bodies(_ text: String, _ reason: String) async throws {
        for piece in [1, 3, 4096] {
            let reply = try await exchange(Array(text.utf8), piece: piece).get()
            #expect(reply.status == 200)
            #expect(reply.body == Array("ok".utf8), "\(reason), in pieces of \(piece)")
        }
    }

    static let bad: [(String, String)] = [
        ("", "closed without an answer"),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "no HTTP status line"),
        ("HTTP/1.1 2x0 OK\r\n\r\n", "no HTTP status line"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "cut short"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok", "Content-Length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok", "Content-Length"),
        ("HTTP/1.1 200 OK\r\nnocolon\r\n\r\n", "no colon"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer encoding"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "no size"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", "longer"),
        ("\u{1}", "cut short"),
    ]

    @Test("says what is wrong with an answer that is not HTTP", arguments: bad)
    func garbage(_ text: String, _ reason: String) async throws {
        guard case .failure(let error) = try await exchange(Array(text.utf8)) else {
            Issue.record("no error for \(text.prefix(40))")
            return
        }
        #expect(error.description.contains(reason), "\(error)")
        #expect(error.description.contains("--socket"))
    }

    @Test("holds no endless line and no endless headers")
    func endless() async throws {
        let rows = [
            (String(repeating: "A", count: 200_000), "an endless line"),
            (
                "HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 40_000),
                "endless headers"
            ),
        ]
        for (text, reason) in rows {
            guard case .failure(let error) = try await exchange(Array(text.utf8)) else {
                Issue.record("no error: \(reason) expected")
                continue
            }
            #expect(error.description.contains(reason), "\(error)")
        }
    }

    @Test("gives up at its size limit, whichever way the size is said")
    func limits() async throws {
        let rows = [
            "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 101),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
        ]
        for row in rows {
            guard
                case .failure(.replyTooLarge(_, 100)) = try await exchange(
                    Array(row.utf8), limit: 100)
            else {
                Issue.record("no limit for \(row.prefix(60))")
                continue
            }
        }
    }

    @Test("gives up at its deadline when the peer says nothing more")
    func deadline() async throws {
        let start = ContinuousClock.now
        let result = try await exchange(
            Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".utf8), closing: false, seconds: 1)
        guard case .failure(.timedOut(_, 1)) = result else {
            Issue.record("no timeout: \(result)")
            return
        }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test("never crashes or hangs on seeded noise after a good start")
    func noise() async throws {
        var random = SplitMix(state: 0xC0FFEE)
        let start = Array(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".utf8)
        for _ in 0..<200 {
            var bytes = start
            for _ in 0..<1 + random.next() % 4 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: random.next())
            }
            bytes += (0..<random.next() % 40).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            switch try await exchange(bytes, piece: Int(1 + random.next() % 20)) {
            case .success(let reply): #expect((200..<600).contains(reply.status))
            case .failure(let error): #expect(!error.description.isEmpty)
            }
        }
    }

    @Test("says how to start a switch when none answers")
    func noSwitch() async throws {
        let error = try await blocking {
            let client = HTTPClient(path: SocketPath(option: "/nonexistent.sock", environment: [:]))
            return #expect(throws: ClientError.self) { try client.send("GET", "/") }
        }
        #expect(
            error?.description
                == "no switch answers at /nonexistent.sock: start one with 'heddle run FILE' "
                + "or name its socket with --socket")
    }
}

@Suite("The socket's path")
struct SocketPathTests {
    @Test("is the option, then the environment, then the system's and the user's sandbox")
    func order() throws {
        #expect(
            SocketPath(option: "/a", environment: ["HEDDLE_SOCKET": "/b"]).candidates == ["/a"])
        #expect(
            SocketPath(option: nil, environment: ["HEDDLE_SOCKET": "/b"]).candidates == ["/b"])
        #expect(
            SocketPath(option: nil, environment: [:], userID: 4_000_000_000).candidates
                == [SocketPath.system])
    }

    @Test("of a sandbox counts only in a private directory of the user's own")
    func privacy() throws {
        let runtime = FileManager.default.temporaryDirectory
            .appendingPathComponent("heddle-r-\(UUID().uuidString.prefix(8))").path
        let directory = runtime + "/heddle"
        let environment = ["XDG_RUNTIME_DIR": runtime]
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: runtime) }
        func isFound() -> Bool {
            SocketPath(option: nil, environment: environment).candidates
                .contains(directory + "/heddle.sock")
        }
        #expect(
            SocketPath.sandbox(environment: environment) == directory + "/heddle.sock")
        chmod(directory, 0o755)
        #expect(!isFound())
        chmod(directory, 0o700)
        #expect(isFound())
        try FileManager.default.moveItem(atPath: directory, toPath: runtime + "/real")
        #expect(symlink(runtime + "/real", directory) == 0)
        #expect(!isFound())
    }
}
