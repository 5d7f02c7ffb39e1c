import ArgumentParser
import ControlAPI

struct FDBAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a static or sticky entry.",
        discussion: """
              heddle fdb add blue 02:00:00:00:00:01 web-1
              heddle fdb add blue 02:00:00:00:00:02 --vtep beta
            """)

    @Argument(help: "Name of the network.") var network: String
    @Argument(help: "Unicast MAC address.") var mac: String
    @Argument(help: "Port that the address lives behind.") var port: String?
    @Option(
        help: ArgumentHelp(
            "Instead of a port, the host that the address lives on: its name or underlay address.",
            valueName: "host"))
    var vtep: String?
    @Flag(help: "Sticky: never moves, but ages when unheard and goes when flushed.") var sticky =
        false
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard (port == nil) != (vtep == nil) else {
            throw ValidationError(
                port == nil
                    ? "say where the address lives: a port, or --vtep HOST"
                    : "an address lives behind a port or behind a tunnel: leave one out")
        }
    }

    func run() throws {
        let entry = try client.client.addFDBEntry(
            FDBChangeRequest(
                network: network, mac: mac, port: port, vtep: vtep, kind: sticky ? .sticky : .static
            ))
        try output.show(entry) { fdbTable(FDBList(entries: [$0])).rendered() }
    }
}
