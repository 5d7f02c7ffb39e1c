import Foundation

/// QEMU's monitor: commands and answers in JSON (the QEMU Machine Protocol).
package final class GuestMonitor {
    private let pipe: GuestPipe
    /// How far the answers have been read.
    private var position = 0
    private var isGreeted = false

    init(_ pipe: GuestPipe) { self.pipe = pipe }

    /// How a migration went, as QEMU measured it.
    package struct Migration {
        package let totalMilliseconds: Int
        /// How long the guest stood still.
        package let downtimeMilliseconds: Int
    }

    /// Carries out a command and gives what it returned.
    @discardableResult
    package func execute(
        _ command: String, _ arguments: [String: Any] = [:], seconds: Double = 10
    ) throws -> [String: Any] {
        if !isGreeted {
            _ = try answer(with: "QMP", seconds: seconds)
            isGreeted = true
            try execute("qmp_capabilities")
        }
        let request = try JSONSerialization.data(
            withJSONObject: ["execute": command, "arguments": arguments])
        try pipe.send(String(decoding: request, as: UTF8.self))
        return try answer(with: "return", seconds: seconds)["return"] as? [String: Any] ?? [:]
    }

    /// Moves the guest to the emulator that listens on a Unix socket, and waits until it runs there.
    package func migrate(to socket: String, seconds: Double = 60) throws -> Migration {
        try execute("migrate", ["uri": "unix:\(socket)"])
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            let state = try execute("query-migrate")
            switch state["status"] as? String {
            case "completed":
                return Migration(
                    totalMilliseconds: state["total-time"] as? Int ?? 0,
                    downtimeMilliseconds: state["downtime"] as? Int ?? 0)
            case "failed", "cancelled":
                throw Lab.Failure("the migration failed: \(state)")
            default:
                guard Date() < deadline else {
                    throw Lab.Failure("the migration did not end in \(seconds) s: \(state)")
                }
                usleep(20_000)
            }
        }
    }

    /// The next message with a key; events in between are skipped.
    private func answer(with key: String, seconds: Double) throws -> [String: Any] {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            while let end = pipe.end(of: "\n", from: position) {
                let line = pipe.text(position..<end)
                position = end
                let message =
                    try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
                if let error = message["error"] { throw Lab.Failure("the monitor said \(error)") }
                if message[key] != nil { return message }
            }
            guard Date() < deadline else {
                throw Lab.Failure("the monitor did not answer in \(seconds) s")
            }
            pipe.take(milliseconds: 100)
        }
    }
}
