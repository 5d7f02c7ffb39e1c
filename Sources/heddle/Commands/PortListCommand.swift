import ArgumentParser
import ControlAPI

struct PortListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the ports.",
        discussion: """
            A trunk's native network is marked with an asterisk. Below the table stands why ports \
            are down, and why a device that was meant to be a port is none.

              heddle port list
              heddle port list --output json
            """)

    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.ports()) { portListText($0) }
    }
}

/// The table, and below it why ports are down.
func portListText(_ list: PortList) -> String {
    var text = portTable(list).rendered()
    for port in list.ports {
        if let reason = port.reason { text += "\(printable(port.name)): \(printable(reason))\n" }
    }
    for problem in list.problems { text += "\(printable(problem))\n" }
    return text
}

func portTable(_ list: PortList) -> Table {
    var table = Table(
        .text("PORT"), .text("KIND"), .text("MODE"), .text("NETWORKS"), .text("STATE"),
        .number("RX FRAMES"), .number("TX FRAMES"), .number("DROPS"), .text("DEVICE OR SOCKET"),
        .text("NAMESPACE"))
    for port in list.ports {
        let counters = port.counters
        let drops = counters.ingressDroppedFrames &+ counters.egressDroppedFrames
        table.append(
            Table.Cell(port.name), Table.Cell(port.kind), Table.Cell(port.mode.rawValue),
            Table.Cell(port.membership), Table.Cell(port.state.rawValue, port.state.style),
            Table.Cell(counters.receivedFrames), Table.Cell(counters.transmittedFrames),
            Table.Cell("\(drops)", drops == 0 ? .plain : .warning),
            Table.Cell(port.device ?? port.socket),
            Table.Cell(port.namespace))
    }
    return table
}
