import ArgumentParser
import ControlAPI

struct FDBListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the forwarding database.",
        discussion: """
              heddle fdb list --network blue
            """)

    @Option(help: "Only entries of this network.") var network: String?
    @Option(help: "Only entries behind this port or tunnel.") var port: String?
    @Option(help: "Only entries of this MAC address.") var mac: String?
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        let list = try client.client.fdb(network: network, port: port, mac: mac)
        try output.show(list) { fdbTable($0).rendered() }
    }
}

func fdbTable(_ list: FDBList) -> Table {
    var table = Table(
        .text("NETWORK"), .number("VLAN"), .text("MAC"), .text("PORT"), .text("VTEP"),
        .text("KIND"), .number("AGE"))
    for entry in list.entries {
        table.append(
            Table.Cell(entry.network), Table.Cell(entry.vlan), Table.Cell(entry.mac),
            Table.Cell(entry.port), Table.Cell(entry.vtep ?? "-"),
            Table.Cell(entry.kind.rawValue),
            // Ages are shown in whole seconds; a bound keeps a foolish value printable.
            Table.Cell(entry.ageSeconds.map { "\(Int(min(max($0, 0), 1e9))) s" }))
    }
    return table
}
