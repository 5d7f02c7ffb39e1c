import ControlAPI
import Foundation
import Synchronization
import Testing

@testable import Control

@Suite("The control socket", .timeLimit(.minutes(1)))
struct APIServerTests {
    /// A server over a fake switch, and a client of it, for the length of `body`.
    private func withServer(
        _ service: FakeService = FakeService(),
        _ body: @escaping @Sendable (SwitchClient, String) throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("heddle-api-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = directory + "/heddle.sock"
        let server = APIServer(path: path, service: service, logger: silentLogger)
        try await blocking {
            try server.start()
            defer { server.stop() }
            try body(
                SwitchClient(http: HTTPClient(path: SocketPath(option: path, environment: [:]))),
                path)
        }
    }

    @Test("answers every call of the client from the service")
    func everyCall() async throws {
        let service = FakeService()
        try await withServer(service) { (client, _) throws in
            let document = TopologyDocument(name: "lab.yaml", text: "heddle: 1\n")
            #expect(try client.version() == Sample.version)
            #expect(try client.topology() == Sample.topology)
            #expect(try client.plan(document) == Sample.plan)
            #expect(try client.apply(document) == Sample.apply)
            #expect(try client.ports().ports == [Sample.port])
            #expect(try client.port("web 1/ü") == Sample.port)
            #expect(
                try client.attachPort(
                    PortAttachRequest(name: "vm-1", definition: ["network": "blue"]))
                    == Sample.port)
            #expect(try client.detachPort("vm-1").message == "port 'vm-1' is detached")
            #expect(try client.networks().networks == [Sample.network])
            #expect(try client.network("blue") == Sample.network)
            #expect(try client.tunnels().tunnels == [Sample.tunnel])
            #expect(try client.tunnel("vxlan:beta") == Sample.tunnel)
            #expect(try client.fdb(network: "a&b", mac: "02::1").entries == [Sample.fdbEntry])
            #expect(
                try client.addFDBEntry(
                    FDBChangeRequest(network: "blue", mac: "m", port: "p", kind: .sticky))
                    == Sample.fdbEntry)
            #expect(try client.deleteFDBEntry(network: "blue", mac: "m").removed == 1)
            #expect(
                try client.flushFDB(FDBFlushRequest(network: "blue", port: nil, mac: nil)).removed
                    == 7)
            #expect(try client.drops().drops == [Sample.drop])
            #expect(try client.stats() == Sample.stats)
        }
        #expect(
            service.calls == [
                "version", "topology", "plan lab.yaml 10", "apply lab.yaml 10", "ports",
                "port web 1/ü", "attach vm-1", "detach vm-1", "networks", "network blue",
                "tunnels", "tunnel vxlan:beta",
                "fdb a&b - 02::1", "add blue m p sticky", "delete blue m", "flush blue - -",
                "drops", "stats",
            ])
    }

    @Test("takes a topology of three megabytes and refuses a body of five")
    func bodies() async throws {
        let service = FakeService()
        try await withServer(service) { (client, _) throws in
            let large = String(repeating: "#", count: 3 << 20)
            _ = try client.plan(TopologyDocument(name: "large", text: large))
            let huge = String(repeating: "#", count: 5 << 20)
            let error = #expect(throws: ClientError.self) {
                try client.plan(TopologyDocument(name: "huge", text: huge))
            }
            guard case .refused(413, let response)? = error else {
                Issue.record("413 expected, not \(String(describing: error))")
                return
            }
            #expect(response.error == "the request's body is larger than 4194304 bytes")
            _ = try client.version()
        }
        #expect(service.calls == ["plan large 3145728", "version"])
    }

    @Test(
        "says the service's reasons with their status",
        arguments: [
            (ServiceError.badRequest(["lab.yaml:1:1: no"]), 400, "lab.yaml:1:1: no"),
            (.badRequest(["a", "b"]), 400, "2 errors were found\na\nb"),
            (.notFound("there is no port 'x'"), 404, "there is no port 'x'"),
            (.conflict("an apply is under way"), 409, "an apply is under way"),
            (.failed(["no TAP", "undone: all"]), 500, "no TAP\nundone: all"),
        ])
    func refusals(_ refusal: ServiceError, _ status: Int, _ text: String) async throws {
        try await withServer(FakeService(refusal: refusal)) { (client, _) throws in
            let error = #expect(throws: ClientError.self) { try client.version() }
            guard case .refused(let code, _)? = error else {
                Issue.record("a refusal expected, not \(String(describing: error))")
                return
            }
            #expect(code == status)
            #expect(error?.description == text)
        }
    }

    @Test("has its mode when it appears, replaces a stale file and is removed at the end")
    func socketFile() async throws {
        let kept = Mutex("")
        try await withServer { (client, path) throws in
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            let directory = String(path.dropLast("/heddle.sock".count))
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: directory) == ["heddle.sock"])
            // As after a crash: the file is there and nobody listens.
            let stale = directory + "/stale.sock"
            #expect(FileManager.default.createFile(atPath: stale, contents: nil))
            let second = APIServer(path: stale, service: FakeService(), logger: silentLogger)
            try second.start()
            let other = HTTPClient(path: SocketPath(option: stale, environment: [:]))
            #expect(try SwitchClient(http: other).version() == Sample.version)
            second.stop()
            #expect(access(stale, F_OK) != 0)
            kept.withLock { $0 = path }
        }
        #expect(access(kept.withLock { $0 }, F_OK) != 0)
    }

    @Test("says why it cannot listen")
    func cannotListen() async throws {
        try await blocking {
            let missing = APIServer(
                path: "/nonexistent/x.sock", service: FakeService(), logger: silentLogger)
            let error = #expect(throws: APIServerError.self) { try missing.start() }
            #expect(error?.description.contains("/nonexistent/x.sock: cannot listen") == true)
            let long = "/tmp/" + String(repeating: "x", count: 120)
            let tooLong = APIServer(path: long, service: FakeService(), logger: silentLogger)
            #expect(throws: APIServerError.pathTooLong(path: long)) { try tooLong.start() }
        }
    }

    @Test("survives what is not HTTP, and answers the next client")
    func malformed() async throws {
        let rows = [
            "\r\n\r\n",
            "GET\r\n\r\n",  // no path, no version
            "GET /v1/version HTTP/9.9\r\n\r\n",  // a version of the future
            "POST /v1/fdb/flush HTTP/1.1\r\nContent-Length: -1\r\n\r\n",  // negative length
            "POST /v1/fdb/flush HTTP/1.1\r\nContent-Length: 99\r\n\r\n{",  // cut short
            "POST /v1/fdb/flush HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",  // no size
            "POST /v1/fdb/flush HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n{",
            "GET /\u{0}%zz HTTP/1.1\r\n\r\n",  // zero byte and a broken escape
            "\u{7f}ELF\u{1}\u{2}\u{3}",  // a program
            String(repeating: "A", count: 300_000),  // an endless line
        ]
        let service = FakeService()
        try await withServer(service) { (client, path) throws in
            for row in rows {
                rawExchange(path, Array(row.utf8))
                rawExchange(path, [0xFF, 0xFE, 0x00, 0x0A] + Array(row.utf8))
            }
            #expect(try client.version() == Sample.version)
        }
        #expect(service.calls.filter { $0.hasPrefix("flush") }.isEmpty)
    }

    @Test("serves many clients at once")
    func manyClients() async throws {
        let service = FakeService()
        try await withServer(service) { (client, _) throws in
            DispatchQueue.concurrentPerform(iterations: 100) { _ in
                #expect((try? client.stats()) == Sample.stats)
            }
        }
        #expect(service.calls.count == 100)
    }

    @Test("serves curl", .enabled(if: access("/usr/bin/curl", X_OK) == 0))
    func curl() async throws {
        try await withServer { (_, path) throws in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
            process.arguments = [
                "-sS", "--max-time", "20", "--unix-socket", path, "http://heddle/v1/version",
                "http://heddle/metrics",
            ]
            let pipe = Pipe()
            process.standardOutput = pipe
            try process.run()
            let output = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            let text = String(decoding: output, as: UTF8.self)
            #expect(process.terminationStatus == 0)
            #expect(text.hasPrefix(#"{"api_version":"v1""#))
            #expect(text.contains("heddle_port_up{port=\"web-1\"} 1\n"))
        }
    }
}

/// Sends bytes, closes the sending side, and reads until the peer closes or a second has passed.
@discardableResult
func rawExchange(_ path: String, _ bytes: [UInt8]) -> [UInt8] {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var limit = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    guard connected == 0 else { return [] }
    var sent = 0
    while sent < bytes.count {
        let count = bytes[sent...].withUnsafeBytes {
            send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { break }
        sent += count
    }
    shutdown(descriptor, Int32(SHUT_WR))
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = recv(descriptor, &buffer, buffer.count, 0), count > 0 {
        answer += buffer[..<count]
    }
    return answer
}
