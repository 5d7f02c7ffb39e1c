import ArgumentParser
import ControlAPI
import Foundation

struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Say what happened to the switch: ports, tunnels, applies, moves, loops.",
        discussion: """
            The switch remembers the newest 4096 events until it ends. What repeats within a \
            minute is one event with a count.

              heddle events --since 10m
              heddle events --kind loop --kind mac-storm
              heddle events --watch     what happens from now on, as it happens
            """)

    @Flag(help: "Wait for events and print each as it comes; JSON is one object a line.")
    var watch = false
    @Option(
        help: ArgumentHelp(
            "Only events of the last so much time (90s, 10m, 2h, 1d), or after that number.",
            valueName: "time|number"))
    var since: EventsSince?
    @Option(help: ArgumentHelp("Only events of this kind; may be repeated.", valueName: "kind"))
    var kind: [EventKind] = []
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        let client = client.client
        var list = try client.events(since: since?.number)
        guard watch else {
            list.events = list.events.filter(isWanted)
            return try output.show(list) { eventsText($0) }
        }
        // Without a start it is what happens from now on.
        if since == nil { list.events = [] }
        while true {
            for event in list.events where isWanted(event) {
                switch output.output {
                case .json:
                    Terminal.writeOutput(
                        String(decoding: try event.json(), as: UTF8.self) + "\n")
                case .table: Terminal.writeOutput(eventLines(event))
                }
            }
            list = try client.events(since: list.last, wait: 10)
        }
    }

    private func isWanted(_ event: EventInfo) -> Bool {
        guard kind.isEmpty || kind.contains(where: { $0.rawValue == event.kind }) else {
            return false
        }
        guard let seconds = since?.seconds, let time = eventDate(event.time) else { return true }
        return time.timeIntervalSinceNow >= -seconds
    }
}

extension EventKind: ExpressibleByArgument {}

/// Where a list of events begins: so long ago, or after a number.
enum EventsSince: ExpressibleByArgument, Equatable {
    case ago(seconds: Double)
    case after(UInt64)

    init?(argument: String) {
        if let number = UInt64(argument) {
            self = .after(number)
            return
        }
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = argument.last.flatMap({ units[$0] }),
            let value = UInt32(argument.dropLast())
        else { return nil }
        self = .ago(seconds: Double(value) * unit)
    }

    var number: UInt64? { if case .after(let number) = self { number } else { nil } }
    var seconds: Double? { if case .ago(let seconds) = self { seconds } else { nil } }
}

func eventsText(_ list: EventList) -> String {
    guard !list.events.isEmpty else { return "nothing happened\n" }
    var table = Table(.text("TIME"), .text("KIND"), .number("TIMES"), .text("WHAT"))
    for event in list.events {
        table.append(
            Table.Cell(eventTime(event.time)), Table.Cell(event.kind, event.severity.style),
            Table.Cell(event.count), Table.Cell(event.sentence + recorded(event)))
    }
    var text = table.rendered()
    var told: Set<String> = []
    for event in list.events {
        guard let remedy = event.remedy, told.insert(event.kind + remedy).inserted else { continue }
        text += "\(printable(event.kind)): \(printable(remedy))\n"
    }
    return text
}

private func recorded(_ event: EventInfo) -> String {
    event.recording.map { " [recording \($0)]" } ?? ""
}

/// An event as it is shown when it happens.
func eventLines(_ event: EventInfo) -> String {
    let times = event.count > 1 ? " (\(event.count) times)" : ""
    let kind = Terminal.styled(printable(event.kind), event.severity.style)
    var text = "\(eventTime(event.time))  \(kind)  \(printable(event.sentence))\(times)"
    text += recorded(event) + "\n"
    if let remedy = event.remedy { text += "    \(printable(remedy))\n" }
    return text
}

extension EventSeverity {
    fileprivate var style: Terminal.Style {
        switch self {
        case .notice: .plain
        case .warning: .warning
        case .error: .bad
        }
    }
}

private func eventDate(_ text: String) -> Date? {
    try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
}

/// An event's time as the clock on the wall here shows it.
func eventTime(_ text: String) -> String {
    guard let date = eventDate(text) else { return text }
    var time = time_t(date.timeIntervalSince1970)
    var local = tm()
    localtime_r(&time, &local)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    return "\(local.tm_year + 1900)-\(two(local.tm_mon + 1))-\(two(local.tm_mday)) "
        + "\(two(local.tm_hour)):\(two(local.tm_min)):\(two(local.tm_sec))"
}
