import ArgumentParser

struct FDBDeleteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete one entry of any kind.",
        discussion: """
              heddle fdb delete blue 02:00:00:00:00:01
            """)

    @Argument(help: "Name of the network.") var network: String
    @Argument(help: "MAC address.") var mac: String
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.deleteFDBEntry(network: network, mac: mac)) {
            "\($0.removed) removed\n"
        }
    }
}
