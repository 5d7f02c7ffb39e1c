import Dispatch
import Foundation

/// A program of the machine that a test runs: tshark, ping, ip.
///
/// Suites that need one say `.enabled(if: ExternalTool.isAvailable("tshark"))`: without it they
/// count as skipped, and standard error says so once, with the remedy.
package struct ExternalTool: Sendable {
    /// What a finished run left behind.
    package struct Output: Sendable {
        /// The exit status, or the number of the signal that ended the program.
        package var status: Int32
        package var standardOutput: [UInt8]
        package var standardError: String

        package var text: String { String(decoding: standardOutput, as: UTF8.self) }
    }

    package enum Failure: Error, CustomStringConvertible {
        case notFound(String)
        case cannotRun(String, reason: String)
        case timedOut(String, seconds: Double, standardError: String)

        package var description: String {
            switch self {
            case .notFound(let name): "\(name) is not on PATH"
            case .cannotRun(let name, let reason): "cannot run \(name): \(reason)"
            case .timedOut(let name, let seconds, let standardError):
                "\(name) did not end within \(seconds) s and was killed: \(standardError)"
            }
        }
    }

    package let path: String

    /// Finds a program on PATH, or in the administrator's directories, which a user's PATH lacks.
    package init(_ name: String) throws(Failure) {
        let searched = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin:/sbin"
        let candidates = searched.split(separator: ":").map { "\($0)/\(name)" }
        guard
            let path = candidates.first(where: {
                FileManager.default.isExecutableFile(atPath: $0)
            })
        else { throw .notFound(name) }
        self.path = path
    }

    /// Whether a program is there; if not, says loudly, once, what will be skipped and the remedy.
    ///
    /// - Parameter package: the Debian package that brings the program, if its name differs.
    package static func isAvailable(_ name: String, package: String? = nil) -> Bool {
        if (try? ExternalTool(name)) != nil { return true }
        if announced.insert(name) {
            let notice =
                "\n*** SKIPPED: tests that need '\(name)', which is not installed"
                + " (apt-get install \(package ?? name)) ***\n\n"
            FileHandle.standardError.write(Data(notice.utf8))
        }
        return false
    }

    /// Runs the program to its end. Its streams are files, so that neither side can block on a full
    /// pipe and a grandchild that keeps a stream open holds nobody up.
    package func run(
        _ arguments: [String] = [], standardInput: [UInt8] = [], timeoutSeconds: Double = 30
    ) throws -> Output {
        try TemporaryDirectory.with { directory in
            try run(
                arguments, standardInput: standardInput, timeoutSeconds: timeoutSeconds,
                in: directory)
        }
    }

    private func run(
        _ arguments: [String], standardInput: [UInt8], timeoutSeconds: Double,
        in directory: TemporaryDirectory
    ) throws -> Output {
        let input = directory.path("stdin")
        let output = directory.path("stdout")
        let errors = directory.path("stderr")
        try Data(standardInput).write(to: URL(fileURLWithPath: input))
        for file in [output, errors] {
            guard FileManager.default.createFile(atPath: file, contents: nil) else {
                throw Failure.cannotRun(path, reason: "cannot create \(file)")
            }
        }

        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let streams = [
            FileHandle(forReadingAtPath: input), FileHandle(forWritingAtPath: output),
            FileHandle(forWritingAtPath: errors),
        ]
        // The child has its own; Process keeps ours open, and breaks when there are a thousand.
        defer { for stream in streams { try? stream?.close() } }
        process.standardInput = streams[0]
        process.standardOutput = streams[1]
        process.standardError = streams[2]
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        do {
            try Self.withNoSignalBlocked { try process.run() }
        } catch {
            throw Failure.cannotRun(path, reason: "\(error)")
        }
        let isLate = ended.wait(timeout: .now() + timeoutSeconds) == .timedOut
        if isLate {
            kill(process.processIdentifier, SIGKILL)
            ended.wait()
        }
        let standardError = try String(decoding: Self.content(of: errors), as: UTF8.self)
        if isLate {
            throw Failure.timedOut(path, seconds: timeoutSeconds, standardError: standardError)
        }
        return Output(
            status: process.terminationStatus,
            standardOutput: try Self.content(of: output), standardError: standardError)
    }

    /// A child inherits its thread's signal mask, and the threads that run tests block SIGTERM and
    /// SIGINT, which a program under test must be able to receive.
    package static func withNoSignalBlocked(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    private static func content(of path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    private static let announced = Announced()

    private final class Announced: @unchecked Sendable {
        // @unchecked: every access is under the lock.
        private let lock = NSLock()
        private var names: Set<String> = []

        func insert(_ name: String) -> Bool {
            lock.withLock { names.insert(name).inserted }
        }
    }
}
