import ArgumentParser
import Control
import Logging

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the switch in the foreground.",
        discussion: """
            Applies FILE, or the topology stored from the last run, says when it is ready, and \
            runs until SIGINT or SIGTERM. Then it removes what it made, and nothing else.

              sudo heddle run lab.yaml
              heddle run --sandbox lab.yaml     no root needed, nothing left on the host
              sudo heddle run --host alpha hosts.yaml     one host's part of a topology of several
            """)

    @Argument(help: "Topology file. Without one, the stored topology.", completion: .file())
    var file: String?

    @Option(
        help: ArgumentHelp(
            "Which host of the topology this is. Default: the machine's name.",
            valueName: "name"))
    var host: String?

    @Option(help: ArgumentHelp("Where to listen.", valueName: "path"))
    var socket: String?

    @Option(help: ArgumentHelp("Where to keep state.", valueName: "dir"), completion: .directory)
    var state: String?

    @Option(help: ArgumentHelp("Worker threads.", valueName: "n"))
    var workers = 1

    @Option(
        help: ArgumentHelp(
            "Let a group have network cards for its VMs, by heddle-bridge-helper.",
            discussion: "On the networks that are named, or on all.",
            valueName: "group[=network,…]"))
    var nicGroup: String?

    @Flag(help: "Run in new user, mount and network namespaces.")
    var sandbox = false

    @Flag(help: "Say what is connected, who reaches whom by ping, and what to type next.")
    var report = false

    @Option(help: "Least severe messages to log.")
    var logLevel = LogLevel.notice

    func validate() throws {
        guard (1...64).contains(workers) else {
            throw ValidationError("--workers \(workers): give a number from 1 to 64")
        }
    }

    var options: RunOptions {
        RunOptions(
            file: file, host: host, socketPath: socket, stateDirectory: state, workerCount: workers,
            sandbox: sandbox, nicGroup: nicGroup, logLevel: logLevel.level, reports: report)
    }

    func run() throws {
        do {
            try Daemon.run(options)
        } catch let failure as Daemon.Failure {
            throw CommandFailure(lines: failure.lines)
        } catch {
            throw CommandFailure("\(error)")
        }
    }
}

enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error, critical

    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}

/// Why a command failed, in lines for the operator.
struct CommandFailure: Error, CustomStringConvertible {
    let lines: [String]

    init(_ line: String) { lines = [line] }
    init(lines: [String]) { self.lines = lines }

    var description: String { lines.joined(separator: "\n") }
}
