import ArgumentParser

struct NetworkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network",
        abstract: "List and show networks.",
        subcommands: [NetworkListCommand.self, NetworkShowCommand.self])
}
