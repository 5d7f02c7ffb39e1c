import ArgumentParser
import ControlAPI

struct StatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show the switch in numbers.",
        discussion: """
            The same numbers are at GET /metrics for Prometheus.

              heddle stats --output json
            """)

    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.stats()) { statsText($0) }
    }
}

func statsText(_ stats: StatsInfo) -> String {
    let fdb = stats.fdb
    var text =
        described([
            ("uptime", "\(Int(min(max(stats.uptimeSeconds, 0), 1e12))) s"),
            ("generation", "\(stats.generation)"),
        ]) + trafficText(stats.totals)
        + described([
            (
                "FDB",
                "\(fdb.entries) of \(fdb.capacity) entries; \(fdb.learned) learned, "
                    + "\(fdb.moved) moved, \(fdb.aged) aged, \(fdb.evicted) evicted, "
                    + "\(fdb.refused) refused"
            )
        ])
    var workers = Table(
        .number("WORKER"), .number("BURSTS"), .number("FRAMES"), .number("SLEEPS"))
    for worker in stats.workers {
        workers.append(
            Table.Cell(worker.number), Table.Cell(worker.bursts), Table.Cell(worker.frames),
            Table.Cell(worker.sleeps))
    }
    var ports = Table(
        .text("PORT"), .text("STATE"), .number("RX FRAMES"), .number("RX BYTES"),
        .number("TX FRAMES"), .number("TX BYTES"), .number("FLOODED"), .number("DROPS"))
    for port in stats.ports {
        let counters = port.counters
        ports.append(
            Table.Cell(port.name), Table.Cell(port.state.rawValue, port.state.style),
            Table.Cell(counters.receivedFrames), Table.Cell(counters.receivedBytes),
            Table.Cell(counters.transmittedFrames), Table.Cell(counters.transmittedBytes),
            Table.Cell(counters.floodedFrames),
            Table.Cell(counters.ingressDroppedFrames &+ counters.egressDroppedFrames))
    }
    text += "\n" + workers.rendered() + "\n" + ports.rendered()
    return text
}
