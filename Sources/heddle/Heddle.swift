import ArgumentParser
import Control
import ControlAPI
import Glibc

/// Every command is synchronous: `exec` and `run --sandbox` change the process's namespaces, which
/// the kernel allows only before a second thread exists.
@main
struct Heddle: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heddle",
        abstract: "A software switch for virtual networks on Linux.",
        discussion: """
            'heddle run FILE' is the switch; every other command talks to one over its socket.

              heddle run --sandbox topologies/quickstart.yaml
              heddle port list
              heddle exec web-1 -- ping -c 3 10.10.0.2
            """,
        version: HeddleVersion.current,
        subcommands: [
            RunCommand.self, TopologyCommand.self, PortCommand.self, NetworkCommand.self,
            TunnelCommand.self,
            FDBCommand.self, DropsCommand.self, StatsCommand.self, TopCommand.self,
            EventsCommand.self, WhoCommand.self,
            TraceCommand.self, CaptureCommand.self, ExtcapCommand.self,
            ExecCommand.self, BridgeHelperCommand.self, DoctorCommand.self, VersionCommand.self,
        ])

    static func main() {
        let arguments = arguments(of: CommandLine.arguments)
        if let unknown = UnknownCommand(in: arguments, of: Heddle.self) {
            Terminal.complain(unknown.sentence)
            Glibc.exit(1)
        }
        do {
            var command = try parseAsRoot(arguments)
            try command.run()
        } catch {
            let (text, status) = outcome(of: error)
            if status == 0 {
                if !text.isEmpty { print(text) }
            } else if !text.isEmpty {
                Terminal.complain(text)
            }
            Glibc.exit(status)
        }
    }

    /// The command that is meant, which the program's own name may say.
    static func arguments(of commandLine: [String]) -> [String] {
        let program = commandLine.first?.split(separator: "/").last.map(String.init)
        let rest = Array(commandLine.dropFirst())
        guard program == BridgeHelperCommand.programName else { return rest }
        return [BridgeHelperCommand.configuration.commandName ?? ""] + rest
    }

    /// What an error says and the exit status that it stands for: 0 for help and the like, 1 for
    /// everything that went wrong, and what a command chose itself.
    static func outcome(of error: any Error) -> (text: String, status: Int32) {
        if let code = error as? ExitCode { return ("", code.rawValue) }
        if exitCode(for: error) == .success { return (fullMessage(for: error), 0) }
        var text = fullMessage(for: error)
        if text.hasPrefix("Error: ") { text.removeFirst("Error: ".count) }
        return (text, 1)
    }
}
