import CLinux
import Foundation

/// A program that runs on in a ``Lab`` while a test looks at it.
///
/// Its streams are files. nsenter stays outside as its parent, because a process cannot move into
/// another process namespace itself; signals go to the program, not to nsenter.
package final class LabProcess {
    package let isSwitch: Bool
    private let process = Process()
    private let files: String
    private let ended = DispatchSemaphore(value: 0)
    /// The program as the tester's machine numbers it.
    private var programID: Int32 = 0

    init(_ nsenter: String, _ arguments: [String], files: String, isSwitch: Bool) throws {
        self.files = files
        self.isSwitch = isSwitch
        for suffix in [".out", ".err"] {
            _ = FileManager.default.createFile(atPath: files + suffix, contents: nil)
        }
        process.executableURL = URL(fileURLWithPath: nsenter)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let streams = [".out", ".err"].map { FileHandle(forWritingAtPath: files + $0) }
        // The child has its own; Process would keep ours open.
        defer { for stream in streams { try? stream?.close() } }
        process.standardOutput = streams[0]
        process.standardError = streams[1]
        let ended = ended
        process.terminationHandler = { _ in ended.signal() }
        let process = process
        try ExternalTool.withNoSignalBlocked { try process.run() }
    }

    /// What the program printed so far.
    package var output: String { content(".out") }
    package var standardError: String { content(".err") }
    package var isRunning: Bool { process.isRunning }

    private func content(_ suffix: String) -> String {
        FileManager.default.contents(atPath: files + suffix)
            .map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Waits until the condition holds; throws when it does not in time or the program ends.
    package func wait(
        _ what: String, seconds: Double = 5, _ condition: (LabProcess) throws -> Bool
    ) throws {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while try !condition(self) {
            guard Date() < deadline, process.isRunning else {
                throw Lab.Failure(
                    "waited \(seconds) s in vain until \(what)"
                        + (process.isRunning ? "" : " (it ended)") + ": \(standardError)")
            }
            usleep(5000)
        }
    }

    /// Sends a signal to the program itself.
    package func send(_ number: Int32) throws {
        if programID == 0 {
            guard let child = child(of: process.processIdentifier) else {
                throw Lab.Failure("the program has ended: \(standardError)")
            }
            programID = child
        }
        guard kill(programID, number) == 0 else {
            throw Lab.Failure("the program has ended: \(standardError)")
        }
        // nsenter stops itself when its child is stopped.
        if number == SIGCONT { kill(process.processIdentifier, SIGCONT) }
    }

    /// Waits for the end; the exit status, or minus the number of the signal that ended it.
    @discardableResult
    package func waitForEnd(seconds: Double = 15) throws -> Int32 {
        guard ended.wait(timeout: .now() + seconds) == .success else {
            throw Lab.Failure("it did not end within \(seconds) s: \(standardError)")
        }
        ended.signal()
        return process.terminationReason == .uncaughtSignal
            ? -process.terminationStatus : process.terminationStatus
    }

    /// Asks the program to end, waits, and gives the last line that it printed.
    @discardableResult
    package func finish(_ number: Int32 = SIGTERM, seconds: Double = 15) throws -> String {
        if process.isRunning { try? send(number) }
        let status = try waitForEnd(seconds: seconds)
        guard status == 0 else {
            throw Lab.Failure("it ended with \(status): \(standardError)")
        }
        return output.split(separator: "\n").last.map(String.init) ?? ""
    }

    /// After the lab has ended: waits for the parent that stayed outside.
    func reap() {
        kill(process.processIdentifier, SIGCONT)
        if ended.wait(timeout: .now() + 5) == .timedOut {
            kill(process.processIdentifier, SIGKILL)
            ended.wait()
        }
        ended.signal()
    }
}
