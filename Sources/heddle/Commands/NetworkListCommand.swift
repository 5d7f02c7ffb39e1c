import ArgumentParser
import ControlAPI

struct NetworkListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the networks.",
        discussion: """
              heddle network list
            """)

    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.networks()) { networkTable($0).rendered() }
    }
}

func networkTable(_ list: NetworkList) -> Table {
    var table = Table(
        .text("NETWORK"), .number("VLAN"), .number("MTU"), .number("PORTS"),
        .number("FDB ENTRIES"), .number("FRAMES"), .number("BYTES"), .number("FLOODED"),
        .number("DROPS"))
    for network in list.networks {
        let counters = network.counters
        table.append(
            Table.Cell(network.name), Table.Cell(network.vlan), Table.Cell(network.mtu),
            Table.Cell(network.ports.count), Table.Cell(network.fdbEntries),
            Table.Cell(counters.receivedFrames), Table.Cell(counters.receivedBytes),
            Table.Cell(counters.floodedFrames),
            Table.Cell(counters.ingressDroppedFrames &+ counters.egressDroppedFrames))
    }
    return table
}
