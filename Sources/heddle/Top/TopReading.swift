import ControlAPI
import Foundation

/// Rates between two samples: what `heddle top` shows, and with `--output json` one line of it.
///
/// Field names are stable, and fields are only ever added.
struct TopReading: Encodable, Equatable {
    struct Row: Encodable, Equatable {
        var name: String
        var state: PortState?
        var receivedFrames: Double
        var receivedBits: Double
        var transmittedFrames: Double
        var transmittedBits: Double
        var drops: Double

        /// What the history draws.
        var bits: Double { receivedBits + transmittedBits }

        enum CodingKeys: String, CodingKey {
            case name
            case state
            case receivedFrames = "received_frames_per_second"
            case receivedBits = "received_bits_per_second"
            case transmittedFrames = "transmitted_frames_per_second"
            case transmittedBits = "transmitted_bits_per_second"
            case drops = "drops_per_second"
        }
    }

    struct Drop: Encodable, Equatable {
        var port: String
        var reason: String
        var rate: Double

        enum CodingKeys: String, CodingKey {
            case port
            case reason
            case rate = "per_second"
        }
    }

    var uptimeSeconds: Double
    /// Time between the samples.
    var seconds: Double
    var rows: [Row]
    /// What was dropped meanwhile, most first.
    var drops: [Drop]

    enum CodingKeys: String, CodingKey {
        case uptimeSeconds = "uptime_seconds"
        case seconds = "interval_seconds"
        case rows
        case drops
    }

    /// Nil when no time passed between the samples.
    ///
    /// A counter that went down belongs to a switch or a port that began anew: all of it is new. So
    /// is all of a row that was not there before.
    init?(from old: TopSample, to new: TopSample) {
        let elapsed =
            new.uptimeSeconds >= old.uptimeSeconds
            ? new.uptimeSeconds - old.uptimeSeconds : new.uptimeSeconds
        guard elapsed > 0 else { return nil }
        func rate(_ before: UInt64?, _ after: UInt64) -> Double {
            let before = before ?? 0
            return Double(after >= before ? after - before : after) / elapsed
        }
        let known = Dictionary(old.rows.map { ($0.name, $0) }) { first, _ in first }
        uptimeSeconds = new.uptimeSeconds
        seconds = elapsed
        rows = new.rows.map { row in
            let before = known[row.name]
            return Row(
                name: row.name, state: row.state,
                receivedFrames: rate(before?.receivedFrames, row.receivedFrames),
                receivedBits: rate(before?.receivedBytes, row.receivedBytes) * 8,
                transmittedFrames: rate(before?.transmittedFrames, row.transmittedFrames),
                transmittedBits: rate(before?.transmittedBytes, row.transmittedBytes) * 8,
                drops: rate(before?.drops, row.drops))
        }
        drops = difference(from: old.drops, to: new.drops).drops
            .map { Drop(port: $0.port, reason: $0.reason, rate: Double($0.count) / elapsed) }
            .sorted { ($1.rate, $0.port, $0.reason) < ($0.rate, $1.port, $1.reason) }
    }

    /// The rows in the order that is asked for; equal ones by name.
    mutating func sort(by order: TopOrder) {
        func key(_ row: Row) -> Double {
            switch order {
            case .rx: row.receivedBits
            case .tx: row.transmittedBits
            case .drops: row.drops
            case .name: 0
            }
        }
        rows.sort { (key($1), $0.name) < (key($0), $1.name) }
    }

    /// One line of JSON.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
}

/// What the rows of `heddle top` are sorted by.
enum TopOrder: String, CaseIterable {
    case rx, tx, drops, name

    /// The key that chooses it.
    var key: Character {
        switch self {
        case .rx: "r"
        case .tx: "t"
        case .drops: "d"
        case .name: "n"
        }
    }
}
