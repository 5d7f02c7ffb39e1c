import ArgumentParser

struct TunnelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tunnel",
        abstract: "List and show tunnels to other hosts.",
        subcommands: [TunnelListCommand.self, TunnelShowCommand.self])
}
