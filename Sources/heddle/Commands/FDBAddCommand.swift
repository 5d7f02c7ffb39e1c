import ArgumentParser
import ControlAPI

struct FDBAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a static or sticky entry.",
        discussion: """
              heddle fdb add blue 02:00:00:00:00:01 web-1
            """)

    @Argument(help: "Name of the network.") var network: String
    @Argument(help: "Unicast MAC address.") var mac: String
    @Argument(help: "Port that the address lives behind.") var port: String
    @Flag(help: "Sticky: never moves, but ages when unheard and goes when flushed.") var sticky =
        false
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        let entry = try client.client.addFDBEntry(
            FDBChangeRequest(
                network: network, mac: mac, port: port, kind: sticky ? .sticky : .static))
        try output.show(entry) { fdbTable(FDBList(entries: [$0])).rendered() }
    }
}
