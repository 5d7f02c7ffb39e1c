import Foundation
import Glibc
import TestSupport

/// A shell that is root in namespaces of its own, into which the README's blocks are pasted one after
/// the other. What they start ends with it, as it is the first process of its process namespace.
final class RootShell {
    private static let mark = "\u{1e}"

    private let process = Process()
    private let input = Pipe()
    private let file: String
    /// How much of the output has been looked at.
    private var offset = 0

    /// - Parameter file: takes what the shell and all that it starts print.
    init(_ directory: String, environment: [String: String], file: String) throws {
        self.file = file
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        process.executableURL = URL(filePath: try ExternalTool("unshare").path)
        process.arguments = [
            "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc",
            "--kill-child", "bash", "-c", "mount -t tmpfs tmpfs /run && exec bash",
        ]
        process.environment = environment
        process.currentDirectoryURL = URL(filePath: directory)
        process.standardInput = input
        process.standardOutput = FileHandle(forWritingAtPath: file)
        process.standardError = process.standardOutput
        let process = process
        try ExternalTool.withNoSignalBlocked { try process.run() }
    }

    deinit {
        try? input.fileHandleForWriting.close()
        // Killed, it takes the shell with it.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// Pastes lines of shell, and waits until every switch that they start is ready; what came of it.
    func paste(_ text: String) throws -> Lab.Outcome {
        let start = offset
        var outcome = try run([text])[0]
        let count = text.components(separatedBy: "heddle run ").count
        for _ in 0..<400 {
            outcome.output = try output(from: start)
            if outcome.output.components(separatedBy: " is ready: ").count >= count { break }
            usleep(50_000)
        }
        offset = try contents().count
        return outcome
    }

    /// Runs commands one after the other; what each wrote, and its status.
    func run(_ commands: [String]) throws -> [Lab.Outcome] {
        let script = commands.map {
            $0 + "\nprintf '\(Self.mark)%d\(Self.mark)' $?\n"
        }
        try input.fileHandleForWriting.write(contentsOf: Data(script.joined().utf8))
        var pieces: [String] = []
        for _ in 0..<1200 {
            pieces = try output(from: offset).components(separatedBy: Self.mark)
            if pieces.count > 2 * commands.count { break }
            usleep(50_000)
        }
        offset = try contents().count
        return commands.indices.map { index in
            guard 2 * index + 1 < pieces.count else {
                return Lab.Outcome(status: -1, output: "it did not end within a minute")
            }
            return Lab.Outcome(
                status: Int32(pieces[2 * index + 1]) ?? -1, output: pieces[2 * index])
        }
    }

    private func contents() throws -> Data { try Data(contentsOf: URL(filePath: file)) }

    private func output(from offset: Int) throws -> String {
        String(decoding: try contents().dropFirst(offset), as: UTF8.self)
    }
}
