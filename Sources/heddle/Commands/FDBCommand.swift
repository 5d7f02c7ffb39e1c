import ArgumentParser

struct FDBCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fdb",
        abstract: "See and change where MAC addresses live.",
        subcommands: [
            FDBListCommand.self, FDBAddCommand.self, FDBDeleteCommand.self, FDBFlushCommand.self,
        ])
}
