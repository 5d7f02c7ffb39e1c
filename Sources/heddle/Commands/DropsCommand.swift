import ArgumentParser
import ControlAPI
import Glibc

struct DropsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drops",
        abstract: "Say which frames were dropped, why, and what to do about it.",
        discussion: """
              heddle drops
              heddle drops --watch      what is dropped from now on, each second
            """)

    @Flag(help: "Repeat each second and show what was dropped in it.") var watch = false
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        let client = client.client
        var last = try client.drops()
        if !watch {
            try output.show(last) { dropsText($0) }
            return
        }
        while true {
            sleep(1)
            let now = try client.drops()
            let new = difference(from: last, to: now)
            last = now
            switch output.output {
            case .json:
                Terminal.writeOutput(String(decoding: try new.json(), as: UTF8.self) + "\n")
            case .table where !new.drops.isEmpty: Terminal.writeOutput(dropsText(new) + "\n")
            case .table: break
            }
        }
    }
}

/// What was dropped between two readings. A count that went down was reset (the switch was
/// restarted): all of it is new.
func difference(from old: DropList, to new: DropList) -> DropList {
    struct Key: Hashable {
        let port: String
        let network: String?
        let reason: String
    }
    func key(_ drop: DropInfo) -> Key {
        Key(port: drop.port, network: drop.network, reason: drop.reason)
    }
    let before = Dictionary(old.drops.map { (key($0), $0.count) }) { max($0, $1) }
    return DropList(
        drops: new.drops.compactMap { drop in
            var drop = drop
            let previous = before[key(drop)] ?? 0
            drop.count = drop.count >= previous ? drop.count - previous : drop.count
            return drop.count == 0 ? nil : drop
        })
}

/// The ranking, and below it what each kind is about, with its remedy and the last frames.
func dropsText(_ list: DropList) -> String {
    guard !list.drops.isEmpty else { return "nothing was dropped\n" }
    var table = Table(
        .number("FRAMES"), .text("PORT"), .text("NETWORK"), .text("REASON"), .number("FIRST"),
        .number("LAST"))
    for drop in list.drops {
        table.append(
            Table.Cell("\(drop.count)", .warning), Table.Cell(drop.port),
            Table.Cell(drop.network), Table.Cell(drop.reason),
            Table.Cell(drop.firstSecondsAgo.map(ago)), Table.Cell(drop.lastSecondsAgo.map(ago)))
    }
    var text = table.rendered()
    var told: Set<String> = []
    for drop in list.drops {
        let isNew = told.insert(drop.reason).inserted
        guard isNew || drop.cause != nil || drop.source != nil else { continue }
        let cause = [drop.cause ?? drop.sentence, drop.source].compactMap(\.self)
        text += "\n\(printable(drop.reason)) on \(printable(drop.port)): "
        text += printable(cause.joined(separator: ", ")) + "\n"
        for frame in drop.frames ?? [] { text += "    \(printable(frame))\n" }
        if isNew, !drop.remedy.isEmpty { text += "  remedy: \(printable(drop.remedy))\n" }
    }
    return text
}

/// `0.4 s ago`, `12 s ago`, `3 min ago`, `5 h ago`.
private func ago(_ seconds: Double) -> String {
    switch seconds {
    case ..<10: "\((seconds * 10).rounded() / 10) s ago"
    case ..<120: "\(Int(seconds)) s ago"
    case ..<7200: "\(Int(seconds / 60)) min ago"
    default: "\(Int(seconds / 3600)) h ago"
    }
}
