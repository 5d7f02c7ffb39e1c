import CLinux
import Foundation
import TestSupport

/// A program that the bench started. Its output goes to files of the private tmpfs, so that nobody
/// has to read a pipe while something is measured.
final class Program {
    let arguments: [String]
    let processID: pid_t
    private let outputPath: String
    /// The writing end of its standard input, which some daemons take the end of for a request.
    private let input: Int32
    private var status: Int32?

    /// Starts it in the namespace and on the core, both those of the caller where nil.
    init(
        _ arguments: [String], in namespace: Namespace? = nil, core: Int? = nil, output: String
    ) throws {
        self.arguments = arguments
        outputPath = output
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else {
            throw SystemCallFailure("make a pipe", errno: errno)
        }
        defer { close(ends[0]) }
        input = ends[1]
        processID = try Placement.run(namespace: namespace, core: core) {
            try Self.spawn(arguments, input: ends[0], output: output)
        }
    }

    deinit { close(input) }

    var output: String { Self.content(outputPath + ".out") }
    var errors: String { Self.content(outputPath + ".err") }

    /// Nil while it runs; else its exit code, or minus the number of the signal that ended it.
    var exitCode: Int32? {
        if status == nil {
            var value: Int32 = 0
            if waitpid(processID, &value, WNOHANG) == processID { status = value }
        }
        return status.map { clinux_exited($0) ? clinux_exit_code($0) : -clinux_signal($0) }
    }

    /// Waits for its end; throws, and ends it, when it takes too long or fails.
    @discardableResult
    func finish(within seconds: Double) throws -> String {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while exitCode == nil {
            guard Date() < deadline else {
                stop()
                throw NotMeasured("'\(summary)' did not end within \(seconds) s")
            }
            // Seldom enough not to be load itself.
            usleep(5000)
        }
        guard exitCode == 0 else {
            let words = errors.isEmpty ? output : errors
            throw NotMeasured(
                "'\(summary)' failed: \(words.trimmingCharacters(in: .whitespacesAndNewlines))")
        }
        return output
    }

    /// Waits until the condition holds while the program runs.
    func wait(_ what: String, seconds: Double = 10, _ condition: () throws -> Bool) throws {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while try !condition() {
            guard exitCode == nil else {
                throw NotMeasured("'\(summary)' ended instead of \(what): \(errors)\(output)")
            }
            guard Date() < deadline else {
                throw NotMeasured("'\(summary)': waited \(seconds) s in vain for \(what)")
            }
            usleep(2000)
        }
    }

    /// Writes a line to its standard input.
    func command(_ line: String) throws {
        let bytes = Array("\(line)\n".utf8)
        guard write(input, bytes, bytes.count) == bytes.count else {
            throw NotMeasured("'\(summary)' takes no commands any more: \(errors)")
        }
    }

    /// Stops it where it is until it is resumed.
    func pause() { kill(processID, SIGSTOP) }
    func resume() { kill(processID, SIGCONT) }

    /// Asks it to end, and ends it after two seconds.
    func stop() {
        guard exitCode == nil else { return }
        kill(processID, SIGTERM)
        kill(processID, SIGCONT)
        for _ in 0..<1000 where exitCode == nil { usleep(2000) }
        guard exitCode == nil else { return }
        kill(processID, SIGKILL)
        while exitCode == nil { usleep(1000) }
    }

    /// Runs a program to its end and gives what it printed.
    @discardableResult
    static func run(
        _ arguments: [String], in namespace: Namespace? = nil, core: Int? = nil,
        within seconds: Double = 30
    ) throws -> String {
        let files = "/run/heddle-bench/run"
        let program = try Program(arguments, in: namespace, core: core, output: files)
        return try program.finish(within: seconds)
    }

    /// The path of a program; nil when there is none.
    static func locate(_ name: String) -> String? {
        if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// Why something that needs these programs cannot run here; nil when it can.
    static func obstacle(for name: String, _ programs: [String]) -> String? {
        for program in programs where locate(program) == nil {
            return "\(name) is not measured: there is no \(program); 'make bench' installs it"
        }
        return nil
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    private var summary: String {
        let text = arguments.joined(separator: " ")
        return text.count > 120 ? "\(text.prefix(117))…" : text
    }

    private static func content(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    private static func spawn(
        _ arguments: [String], input: Int32, output: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 1, output + ".out", flags, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, output + ".err", flags, 0o600)

        var strings = arguments.map { strdup($0) }
        strings.append(nil)
        defer { for string in strings { free(string) } }
        var process: pid_t = 0
        let error = posix_spawnp(
            &process, arguments[0], &actions, nil, strings, clinux_environment())
        guard error == 0 else { throw SystemCallFailure("run '\(arguments[0])'", errno: error) }
        return process
    }
}
