import Control
import ControlAPI
import Glibc

/// Asks the switch for a capture and writes it where it is to go.
struct CaptureClient {
    let client: ClientOptions
    let request: CaptureRequest

    /// - Parameters:
    ///   - hint: what to add to the switch's refusal.
    ///   - duration: seconds; nil for no limit.
    ///   - sink: called once the switch has agreed: a refused capture must not empty a file that is
    ///     there.
    func run(hint: String, duration: Double?, sink: () throws -> CaptureSink) throws {
        // Signals are taken as events from here on, so that a capture ends with its last blocks.
        let signals = try SignalDescriptor([SIGINT, SIGTERM, SIGHUP])
        SignalDescriptor.ignoreBrokenPipes()
        let socket = try client.connectDataSocket()
        try socket.send(try DataRequest.capture(request).json())
        guard case .message(let message) = try socket.receive(descriptors: 0) else {
            throw CommandFailure("the switch closed the connection without an answer")
        }
        let reply = try dataReply(message.bytes)
        guard reply.ok else {
            throw CommandFailure((reply.error ?? "the switch refuses to capture") + hint)
        }
        var stream = CaptureStream(
            socket: socket, signals: signals, sink: try sink(), duration: duration)
        try stream.run()
    }
}
