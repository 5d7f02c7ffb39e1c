import Foundation
import Glibc
import TestSupport

/// A directory, a socket and, most of the time, a switch that the README's commands talk to.
///
/// Commands run in a directory that holds a copy of `topologies/`, so that what they write stays
/// there, with the `heddle` that was built beside the tests first on PATH.
final class Lab {
    struct Outcome {
        var status: Int32
        var output: String
    }

    private let directory: TemporaryDirectory
    private var daemon: Process?
    private var daemonOutput = ""

    static let programs = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().path

    init(in directory: TemporaryDirectory) throws {
        self.directory = directory
        // Copied as content: the files may belong to somebody else, whom a copy would have to name.
        let source = ReadmeFile.root.appending(path: "topologies")
        let target = URL(filePath: directory.path("topologies"))
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        for name in try FileManager.default.contentsOfDirectory(atPath: source.path) {
            try Data(contentsOf: source.appending(path: name))
                .write(to: target.appending(path: name))
        }
    }

    deinit { stop() }

    private var environment: [String: String] {
        var environment = ProcessInfo.processInfo.environment
        let path = environment["PATH"] ?? "/usr/bin:/bin"
        environment["PATH"] = "\(Self.programs):\(path):/usr/sbin:/sbin"
        environment["HEDDLE_SOCKET"] = directory.path("heddle.sock")
        return environment
    }

    /// A shell for what root would paste.
    func rootShell() throws -> RootShell {
        try RootShell(
            directory.path, environment: environment.filter { $0.key != "HEDDLE_SOCKET" },
            file: directory.path("root-output"))
    }

    /// Starts a switch in place of the one that runs; ends when it has said that it is ready.
    func start(_ command: String) throws -> Outcome {
        stop()
        let file = directory.path("run-output")
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        let process = process(command)
        process.standardOutput = FileHandle(forWritingAtPath: file)
        process.standardError = FileHandle(forWritingAtPath: file)
        try ExternalTool.withNoSignalBlocked { try process.run() }
        daemon = process
        let last = command.contains("--report") ? "Ctrl-C ends" : "is ready"
        for _ in 0..<600 {
            daemonOutput = try String(contentsOfFile: file, encoding: .utf8)
            if daemonOutput.contains(last) { return Outcome(status: 0, output: daemonOutput) }
            if !process.isRunning { break }
            usleep(50_000)
        }
        return Outcome(
            status: process.isRunning ? -1 : process.terminationStatus,
            output: daemonOutput)
    }

    /// Ends the switch as Ctrl-C does.
    func stop() {
        guard let process = daemon else { return }
        daemon = nil
        for _ in 0..<200 where process.isRunning {
            process.interrupt()
            usleep(50_000)
        }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// Runs the commands of one block in one shell; what each wrote, and its status.
    func run(_ commands: [String]) throws -> [Outcome] {
        let mark = "\u{1e}"
        let script = commands.map { "\($0)\nprintf '\(mark)%d\(mark)' $?\n" }.joined()
        let file = directory.path("output")
        _ = FileManager.default.createFile(atPath: file, contents: nil)
        let process = process(script, isScript: true)
        process.standardOutput = FileHandle(forWritingAtPath: file)
        process.standardError = process.standardOutput
        try ExternalTool.withNoSignalBlocked { try process.run() }
        for _ in 0..<1200 where process.isRunning { usleep(50_000) }
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        let pieces = try String(contentsOfFile: file, encoding: .utf8)
            .components(separatedBy: mark)
        return commands.indices.map { index in
            guard 2 * index + 1 < pieces.count else {
                return Outcome(status: -1, output: "it did not end within a minute")
            }
            return Outcome(status: Int32(pieces[2 * index + 1]) ?? -1, output: pieces[2 * index])
        }
    }

    private func process(_ command: String, isScript: Bool = false) -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-c", isScript ? command : "exec \(command)"]
        process.environment = environment
        process.currentDirectoryURL = URL(filePath: directory.path)
        process.standardInput = FileHandle.nullDevice
        return process
    }
}
