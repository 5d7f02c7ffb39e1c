import ControlAPI
import Foundation
import Logging
import TestSupport
import Testing

@testable import Control

@Suite(
    "The data socket", .serialized, .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct DataServerTests {
    private func withServer(
        _ body: @escaping @Sendable (String, DataServer) throws -> Void
    ) async throws {
        try await ControllerLab.with("networks: {a: {}}\nports: {p: {network: a, tap: {}}}\n") {
            lab in
            var log = Logger(label: "test")
            log.logLevel = .critical
            let path = lab.folder.path("d")
            let server = try DataServer(path: path, controller: lab.controller, log: log)
            server.start()
            try body(path, server)
            server.stop()
        }
    }

    private func reply(_ text: String, at path: String) throws -> DataReply? {
        let socket = try SeqpacketSocket.connect(to: path)
        // One that is refused may find the other end closed, and the refusal to read.
        _ = try? socket.send(Array(text.utf8))
        guard case .message(let message) = try socket.receive() else { return nil }
        return try DataReply(json: message.bytes)
    }

    @Test(
        "answers whatever is sent, and goes on",
        arguments: [
            (
                #"{"request":"capture","ports":[],"direction":"both","filter":"","snaplen":9999999999999,"count":-1}"#,
                true
            ),  // more than any frame
            (
                #"{"request":"capture","ports":[],"direction":"both","filter":"","snaplen":-1,"count":0}"#,
                true
            ),  // taken as none
            (
                #"{"request":"capture","ports":["q"],"direction":"both","filter":"","snaplen":1,"count":0}"#,
                false
            ),  // no such port
            (
                #"{"request":"capture","ports":[],"direction":"both","filter":"frob","snaplen":1,"count":0}"#,
                false
            ),  // no filter
            (#"{"request":"namespace","name":"../../etc/passwd"}"#, false),  // no name
            (#"{"request":"namespace","name":""}"#, false),  // empty
            (#"{"request":"frobnicate"}"#, false),  // of a newer client, perhaps
            ("\u{1}\u{2}", false),  // no JSON
        ])
    func garbage(text: String, isAccepted: Bool) async throws {
        try await withServer { path, _ in
            let first = try reply(text, at: path)
            #expect(first?.ok == isAccepted)
            let second = try reply(#"{"request":"namespace","name":"none"}"#, at: path)
            #expect(second?.error?.contains("there is no namespace 'none'") == true)
        }
    }

    @Test("silent clients use up no more than their share, and do not delay the end")
    func silentClients() async throws {
        try await withServer { path, server in
            let silent = try (0..<64).map { _ in try SeqpacketSocket.connect(to: path) }
            let isRefused = try soon {
                try reply(#"{"request":"namespace","name":"none"}"#, at: path)?
                    .error?.contains("already") == true
            }
            #expect(isRefused)
            let began = ContinuousClock.now
            server.stop()
            #expect(ContinuousClock.now - began < .seconds(1))
            _ = silent
        }
    }

    @Test("a capture whose reader has stopped does not delay the end")
    func stoppedReader() async throws {
        try await withServer { path, server in
            let socket = try SeqpacketSocket.connect(to: path)
            try socket.send(
                try DataRequest.capture(
                    CaptureRequest(
                        ports: [], direction: .both, filter: "", snaplen: 0, count: 0)
                ).json())
            guard case .message = try socket.receive() else { return }
            // Broadcast ARP fills the socket, whose reader reads no more.
            _ = try? ChildProcess.run(
                ["ip", "address", "add", "10.0.0.1/24", "dev", "p"], timeout: .seconds(5))
            _ = try? ChildProcess.run(
                ["ping", "-q", "-f", "-c", "20000", "-w", "1", "-b", "-s", "1400", "10.0.0.255"],
                timeout: .seconds(5))
            let began = ContinuousClock.now
            server.stop()
            #expect(ContinuousClock.now - began < .seconds(1.5))
        }
    }
}
