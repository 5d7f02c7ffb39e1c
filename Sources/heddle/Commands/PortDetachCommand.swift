import ArgumentParser

struct PortDetachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Remove an attached port from the running switch.",
        discussion: """
            A port that the topology declares is removed by changing the topology.

              heddle port detach web-3
            """)

    @Argument(help: "Name of the port.") var name: String
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.detachPort(name)) { $0.message + "\n" }
    }
}
