import ArgumentParser
import ControlAPI
import Glibc

struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Show what passes now, by port, as it changes.",
        discussion: """
            A terminal shows a screen: q quits, r, t, d and n sort by received and transmitted \
            bits, drops and name, v changes between ports and networks, and the arrows scroll. \
            Elsewhere, and with --count, there is a table or a line of JSON for each interval.

              heddle top
              heddle top --sort drops --count 1
            """)

    @Option(help: "What to sort by: rx, tx, drops or name.") var sort = TopOrder.rx
    @Option(help: ArgumentHelp("Time between readings.", valueName: "seconds"))
    var interval = 1.0
    @Option(help: ArgumentHelp("End after so many readings.", valueName: "count"))
    var count: Int?
    @Flag(help: "Show networks instead of ports.") var networks = false
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard interval >= 0.1, interval <= 3600 else {
            throw ValidationError("--interval: give 0.1 to 3600 seconds")
        }
        guard count.map({ $0 > 0 }) ?? true else {
            throw ValidationError("--count: give a number of readings above 0")
        }
    }

    func run() throws {
        let client = client.client
        // Without an answer the terminal is left alone.
        let first = try sample(from: client, networks: networks)
        if output.output == .table, count == nil, Terminal.isOutputTerminal {
            try runScreen(client, first)
        } else {
            try runLines(client, first)
        }
    }

    private func sample(from client: SwitchClient, networks: Bool) throws -> TopSample {
        let stats = try client.stats()
        let drops = try client.drops()
        guard networks else { return TopSample(ports: stats, drops: drops) }
        return TopSample(
            networks: try client.networks(), uptimeSeconds: stats.uptimeSeconds, drops: drops)
    }

    /// A table or a line of JSON for each interval.
    private func runLines(_ client: SwitchClient, _ first: TopSample) throws {
        var last = first
        var history = TopHistory()
        let screen = TopScreen(order: sort, showsNetworks: networks)
        var left = count
        while left != 0 {
            usleep(UInt32(interval * 1e6))
            let now = try sample(from: client, networks: networks)
            guard var reading = TopReading(from: last, to: now) else { continue }
            last = now
            left = left.map { $0 - 1 }
            reading.sort(by: sort)
            history.add(reading)
            switch output.output {
            case .json: Terminal.writeOutput(try reading.json())
            case .table:
                let table = screen.table(reading, history, colour: Terminal.hasColour)
                Terminal.writeOutput(table + (left == 0 ? "" : "\n"))
            }
        }
    }

    private func runScreen(_ client: SwitchClient, _ first: TopSample) throws {
        var view = TopScreen(order: sort, showsNetworks: networks)
        var last = first
        var history = TopHistory()
        // At once something is seen, which has no rates yet.
        var reading: TopReading?
        let terminal = try TerminalScreen()
        defer { terminal.leave() }
        terminal.show(["heddle top: the first reading takes \(interval) s"])
        var due = ContinuousClock.now.advanced(by: .seconds(interval))
        while true {
            let wait = max(0, ContinuousClock.now.duration(to: due) / .milliseconds(1))
            switch terminal.wait(milliseconds: Int32(wait.rounded(.up))) {
            case .end: return
            case .key(.character("q")): return
            case .key(.up): view.offset -= 1
            case .key(.down): view.offset += 1
            case .key(.character("v")):
                view = TopScreen(order: view.order, showsNetworks: !view.showsNetworks)
                history = TopHistory()
                reading = nil
                last = try sample(from: client, networks: view.showsNetworks)
                terminal.show(["heddle top: the first reading takes \(interval) s"])
                due = ContinuousClock.now.advanced(by: .seconds(interval))
            case .key(.character(let key)):
                if let order = TopOrder.allCases.first(where: { $0.key == key }) {
                    view.order = order
                    view.offset = 0
                }
            case .redraw, .timeout: break
            }
            if ContinuousClock.now >= due {
                due = ContinuousClock.now.advanced(by: .seconds(interval))
                let now = try sample(from: client, networks: view.showsNetworks)
                if let next = TopReading(from: last, to: now) {
                    last = now
                    history.add(next)
                    reading = next
                }
            }
            guard var shown = reading else { continue }
            shown.sort(by: view.order)
            let (width, height) = terminal.size
            view.offset = view.clampedOffset(rowCount: shown.rows.count, height: height)
            terminal.show(
                view.lines(
                    shown, history, width: width, height: height, colour: Terminal.hasColour))
        }
    }
}

extension TopOrder: ExpressibleByArgument {}
