import ArgumentParser
import ControlAPI

struct TunnelListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the tunnels.",
        discussion: """
              heddle tunnel list
            """)

    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.tunnels()) { tunnelTable($0).rendered() }
    }
}

func tunnelTable(_ list: TunnelList) -> Table {
    var table = Table(
        .text("TUNNEL"), .text("LOCAL"), .text("REMOTE"), .text("STATE"), .text("PROBE"),
        .number("LAST HEARD"), .number("NETWORKS"), .number("FITS"), .number("FRAMES IN"),
        .number("FRAMES OUT"), .number("DROPS"))
    for tunnel in list.tunnels {
        let counters = tunnel.counters
        table.append(
            Table.Cell(tunnel.name), Table.Cell(tunnel.local), Table.Cell(tunnel.remote),
            Table.Cell(tunnel.state.rawValue), Table.Cell(tunnel.probe.rawValue),
            Table.Cell(tunnel.lastHeard), Table.Cell(tunnel.networks.count),
            Table.Cell(tunnel.maximumPacket), Table.Cell(counters.receivedFrames),
            Table.Cell(counters.transmittedFrames),
            Table.Cell(counters.ingressDroppedFrames &+ counters.egressDroppedFrames))
    }
    return table
}

extension TunnelInfo {
    /// When the other end was last heard, for eyes.
    var lastHeard: String {
        guard let seconds = lastHeardSeconds else { return "never" }
        let bounded = min(max(seconds, 0), 1e9)
        return bounded < 10 ? "\((bounded * 10).rounded() / 10) s" : "\(Int(bounded)) s"
    }
}
