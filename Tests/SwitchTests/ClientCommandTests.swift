import Control
import ControlAPI
import Foundation
import SystemPackage
import Testing

@testable import heddle

/// A stand-in for the switch: answers every HTTP request with one text, and every connection of the
/// data socket with `serve`.
private final class StandIn: Sendable {
    let path: String
    private let descriptor: Int32
    private let data: SeqpacketSocket?

    init(_ json: String, serve: (@Sendable (SeqpacketSocket) -> Void)? = nil) throws {
        path = "/tmp/heddle-t-\(UUID().uuidString.prefix(8))"
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let descriptor = descriptor
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(bound == 0 && listen(descriptor, 8) == 0)
        let reply = Array(
            "HTTP/1.1 200 OK\r\nContent-Length: \(json.utf8.count)\r\n\r\n\(json)".utf8)
        DispatchQueue(label: "test.http").async {
            while case let client = accept(descriptor, nil, nil), client >= 0 {
                var buffer = [UInt8](repeating: 0, count: 65_536)
                if recv(client, &buffer, buffer.count, 0) > 0 {
                    _ = reply.withUnsafeBytes {
                        send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                    }
                }
                close(client)
            }
        }
        let dataPath = path + DataRequest.pathSuffix
        data = try serve.map { _ in try SeqpacketSocket.listen(at: dataPath) }
        if let data, let serve {
            DispatchQueue(label: "test.data").async {
                while let connection = try? data.accept() { serve(connection) }
            }
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
        if let data { shutdown(data.descriptor.rawValue, Int32(SHUT_RDWR)) }
        unlink(path)
        unlink(path + DataRequest.pathSuffix)
    }
}

/// The executable, built beside the tests.
private let executable = URL(fileURLWithPath: CommandLine.arguments[0])
    .deletingLastPathComponent().appendingPathComponent("heddle").path

private struct Run: Sendable {
    let status: Int32
    let output: String
    let errors: String
}

/// Runs heddle to its end; `interrupting` sends it SIGINT after that many seconds.
private func heddle(_ arguments: [String], interrupting: Double? = nil) async throws -> Run {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "test.heddle").async {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: executable)
            process.arguments = arguments
            let (output, errors) = (Pipe(), Pipe())
            process.standardOutput = output
            process.standardError = errors
            continuation.resume(
                with: Result {
                    try process.run()
                    if let interrupting {
                        usleep(UInt32(interrupting * 1e6))
                        process.interrupt()
                    }
                    let text = String(
                        decoding: output.fileHandleForReading.readDataToEndOfFile(),
                        as: UTF8.self)
                    let complaint = String(
                        decoding: errors.fileHandleForReading.readDataToEndOfFile(),
                        as: UTF8.self)
                    process.waitUntilExit()
                    return Run(
                        status: process.terminationStatus, output: text, errors: complaint)
                })
        }
    }
}

@Suite("Commands as processes", .timeLimit(.minutes(1)))
struct ClientCommandTests {
    private func topologyFile() throws -> String {
        let path = "/tmp/heddle-t-\(UUID().uuidString.prefix(8)).yaml"
        try "heddle: 1\nnetworks:\n  blue: {}\nports:\n  a: {network: blue, tap: {}}\n"
            .write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test("plan exits 0 when nothing would change, 2 when something would, 1 on errors")
    func planStatus() async throws {
        let file = try topologyFile()
        defer { unlink(file) }
        let empty = try StandIn(#"{"changes":[],"is_empty":true,"summary":"nothing to do"}"#)
        let first = try await heddle(["topology", "plan", file, "--socket", empty.path])
        #expect(first.status == 0, "\(first.errors)")
        #expect(first.output == "nothing to do\n")
        let full = try StandIn(
            #"{"changes":[{"symbol":"+","subject":"port a","text":""}],"is_empty":false,"summary":"1 to add"}"#
        )
        let second = try await heddle(["topology", "plan", file, "--socket", full.path])
        #expect(second.status == 2)
        #expect(second.output == "+ port a\n1 to add\n")
        let none = try await heddle(["topology", "plan", file, "--socket", "/nonexistent"])
        #expect(none.status == 1)
        #expect(none.errors.hasPrefix("heddle: no switch answers at /nonexistent: start one"))
        let missing = try await heddle(["topology", "plan", "/nonexistent.yaml"])
        #expect(missing.status == 1)
        #expect(missing.errors.hasPrefix("heddle: /nonexistent.yaml: "))
    }

    @Test("validate needs no switch and names the place of an error")
    func validate() async throws {
        let file = try topologyFile()
        defer { unlink(file) }
        let good = try await heddle(["topology", "validate", file])
        #expect(good.status == 0)
        #expect(good.output == "\(file): valid: 1 network, 1 port\n")
        let schema = try await heddle(["topology", "schema"])
        #expect(schema.output.contains("$schema"))
        let graph = try await heddle(["topology", "graph", file])
        #expect(graph.output.contains("blue"))
        try "heddle: 1\nnetwrks: {}\n".write(toFile: file, atomically: true, encoding: .utf8)
        let bad = try await heddle(["topology", "validate", file])
        #expect(bad.status == 1)
        #expect(bad.errors.hasPrefix("heddle: \(file):2:1: "), "\(bad.errors)")
    }

    @Test(
        "exec becomes the command in the namespaces that the switch hands over",
        .enabled(if: getuid() == 0))
    func exec() async throws {
        let switchStandIn = try StandIn("{}") { connection in
            guard case .message(let message) = try? connection.receive(),
                case .namespace(let name)? = try? DataRequest(json: message.bytes)
            else { return }
            guard name == "web-1" else {
                let reply = DataReply(ok: false, error: "there is no namespace '\(name)'")
                _ = try? connection.send(reply.json())
                return
            }
            let descriptors = ["user", "mnt", "net"].compactMap {
                try? FileDescriptor.open(FilePath("/proc/self/ns/\($0)"), .readOnly)
            }
            _ = try? connection.send(DataReply(ok: true).json(), descriptors: descriptors)
            for descriptor in descriptors { try? descriptor.close() }
        }
        let socket = ["--socket", switchStandIn.path]
        let good = try await heddle(
            ["exec"] + socket + ["web-1", "--", "sh", "-c", "echo $0; exit 7"])
        #expect(good.status == 7, "\(good.errors)")
        #expect(good.output == "sh\n")
        let unknown = try await heddle(["exec"] + socket + ["web-9", "--", "true"])
        #expect(unknown.status == 1)
        #expect(unknown.errors == "heddle: there is no namespace 'web-9'\n")
        let missing = try await heddle(["exec"] + socket + ["web-1", "--", "/nonexistent"])
        #expect(missing.status == 127)
        #expect(missing.errors.hasPrefix("heddle: "))
    }

    @Test("capture writes what it gets, and on SIGINT asks for the end and waits for it")
    func capture() async throws {
        let switchStandIn = try StandIn(#"{"ports":[],"tunnels":[]}"#) { connection in
            guard case .message(let message) = try? connection.receive(),
                case .capture(let request)? = try? DataRequest(json: message.bytes)
            else { return }
            guard request.filter != "bad" else {
                let reply = DataReply(ok: false, error: "the filter is wrong")
                _ = try? connection.send(reply.json())
                return
            }
            _ = try? connection.send(DataReply(ok: true).json())
            _ = try? connection.send(Array("first ".utf8))
            guard case .message(let end) = try? connection.receive(),
                (try? DataRequest(json: end.bytes)) == .stop
            else { return }
            _ = try? connection.send(Array("last".utf8))
        }
        let socket = ["--socket", switchStandIn.path]
        let interrupted = try await heddle(["capture"] + socket, interrupting: 1.5)
        #expect(interrupted.status == 0, "\(interrupted.errors)")
        #expect(interrupted.output == "first last")
        let timed = try await heddle(["capture", "--duration", "0.2"] + socket)
        #expect(timed.output == "first last")
        let file = "/tmp/heddle-t-\(UUID().uuidString.prefix(8)).pcapng"
        defer { unlink(file) }
        try "precious".write(toFile: file, atomically: true, encoding: .utf8)
        let refused = try await heddle(["capture", "-w", file] + socket + ["bad"])
        #expect(refused.errors.hasPrefix("heddle: the filter is wrong ('bad' is no port either"))
        #expect(try String(contentsOfFile: file, encoding: String.Encoding.utf8) == "precious")
        let full = try await heddle(["capture", "-w", "/dev/full"] + socket)
        #expect(full.status == 1)
        #expect(full.errors.contains("/dev/full: the disk is full"))
    }
}
