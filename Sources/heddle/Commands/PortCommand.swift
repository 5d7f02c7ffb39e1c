import ArgumentParser
import ControlAPI

struct PortCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "port",
        abstract: "List, show, attach and detach ports.",
        subcommands: [
            PortListCommand.self, PortShowCommand.self, PortAttachCommand.self,
            PortDetachCommand.self,
        ])
}

extension PortInfo {
    /// The networks as a port of this mode names them; the native one is marked.
    var membership: String {
        switch mode {
        case .access: network ?? "-"
        case .trunk: trunk.map { $0 == native ? "\($0)*" : $0 }.joined(separator: ",")
        }
    }
}

extension PortState {
    var style: Terminal.Style { self == .up ? .good : .bad }
}
