// What `heddle top` shows: pure functions from a reading to lines. On a terminal they fit its width
// and height: on a narrow one first the history goes, then frames, then the state, and at last
// names are cut. In a pipe there is one table with everything.

import ControlAPI

struct TopScreen {
    var order = TopOrder.rx
    var showsNetworks = false
    /// Rows that are scrolled out at the top.
    var offset = 0

    /// The columns beside name, received and transmitted bits and drops.
    struct Columns: Equatable {
        var state = true
        var frames = true
        var history = true

        /// From everything to the least.
        static let choices = [
            Columns(), Columns(history: false), Columns(frames: false, history: false),
            Columns(state: false, frames: false, history: false),
        ]
    }

    /// The whole table, for a pipe.
    func table(_ reading: TopReading, _ history: TopHistory, colour: Bool) -> String {
        table(reading.rows, history, Columns(), nameWidth: .max).rendered(colour: colour)
    }

    /// At most `height` lines of at most `width` columns.
    func lines(
        _ reading: TopReading, _ history: TopHistory, width: Int, height: Int, colour: Bool
    ) -> [String] {
        let title = title(reading)
        let drops = reading.drops.prefix(3).map {
            "\(rateText($0.rate)) drops/s at \(printable($0.port)): \(printable($0.reason))"
        }
        let keys = "q quit  r t d n sort  v \(showsNetworks ? "ports" : "networks")  ↑↓ scroll"
        // A header, and at least one row, go before what is dropped and the keys.
        let room = max(1, height - 2)
        let below = drops.count + 1 < room - 1 ? drops + [keys] : []
        let shown = visibleRows(reading, count: max(1, room - below.count))
        var table = fitting(shown, history, width: width, colour: colour)
        if shown.isEmpty {
            table = [showsNetworks ? "there are no networks" : "there are no ports"]
        }
        var lines = [Terminal.styled(cut(title, to: width), .strong, colour: colour)] + table
        lines += below.map { cut($0, to: width) }
        return Array(lines.prefix(max(1, height)))
    }

    /// How far it can be scrolled so that the last row is still seen.
    func clampedOffset(rowCount: Int, height: Int) -> Int {
        max(0, min(offset, rowCount - max(1, height - 6)))
    }

    private func visibleRows(_ reading: TopReading, count: Int) -> [TopReading.Row] {
        Array(reading.rows.dropFirst(offset).prefix(count))
    }

    private func title(_ reading: TopReading) -> String {
        let received = reading.rows.reduce(0) { $0 + $1.receivedBits }
        let transmitted = reading.rows.reduce(0) { $0 + $1.transmittedBits }
        let drops = reading.rows.reduce(0) { $0 + $1.drops }
        let noun = showsNetworks ? "network" : "port"
        let more = offset > 0 ? ", from row \(offset + 1)" : ""
        return "heddle top by \(order.rawValue): up \(durationText(reading.uptimeSeconds)), "
            + "\(reading.rows.count) \(noun)\(reading.rows.count == 1 ? "" : "s")\(more), "
            + "rx \(rateText(received))bit/s, tx \(rateText(transmitted))bit/s, "
            + "\(rateText(drops)) drops/s"
    }

    private func fitting(
        _ rows: [TopReading.Row], _ history: TopHistory, width: Int, colour: Bool
    ) -> [String] {
        func lines(_ columns: Columns, nameWidth: Int, colour: Bool) -> [String] {
            table(rows, history, columns, nameWidth: nameWidth).rendered(colour: colour)
                .split(separator: "\n").map(String.init)
        }
        func needed(_ columns: Columns, nameWidth: Int) -> Int {
            lines(columns, nameWidth: nameWidth, colour: false).map { columnCount(of: $0) }.max()
                ?? 0
        }
        for columns in Columns.choices where needed(columns, nameWidth: .max) <= width {
            return lines(columns, nameWidth: .max, colour: colour)
        }
        // Names take what the numbers leave, and the terminal cuts the rest.
        let least = Columns.choices[Columns.choices.count - 1]
        let numbers = needed(least, nameWidth: 1) - 1
        let title = columnCount(of: "PORT")
        return lines(least, nameWidth: max(title, width - numbers), colour: colour)
    }

    private func table(
        _ rows: [TopReading.Row], _ history: TopHistory, _ columns: Columns, nameWidth: Int
    ) -> Table {
        var titles: [Table.Column] = [.text(showsNetworks ? "NETWORK" : "PORT")]
        if columns.state, !showsNetworks { titles.append(.text("STATE")) }
        if columns.frames { titles.append(.number("RX FRAMES/S")) }
        titles.append(.number("RX BIT/S"))
        if columns.frames { titles.append(.number("TX FRAMES/S")) }
        titles += [.number("TX BIT/S"), .number("DROPS/S")]
        if columns.history { titles.append(.text("LAST \(TopHistory.length)")) }
        var table = Table(columns: titles)
        for row in rows {
            var cells: [Table.Cell] = [Table.Cell(cut(row.name, to: nameWidth))]
            if columns.state, !showsNetworks {
                cells.append(Table.Cell(row.state?.rawValue ?? "-", row.state?.style ?? .plain))
            }
            if columns.frames { cells.append(Table.Cell(rateText(row.receivedFrames))) }
            cells.append(Table.Cell(rateText(row.receivedBits)))
            if columns.frames { cells.append(Table.Cell(rateText(row.transmittedFrames))) }
            cells += [
                Table.Cell(rateText(row.transmittedBits)),
                Table.Cell(rateText(row.drops), row.drops > 0 ? .warning : .plain),
            ]
            if columns.history { cells.append(Table.Cell(history.sparkline(of: row.name))) }
            table.append(cells: cells)
        }
        return table
    }
}

/// Text in at most so many columns; what is cut ends in `…`.
func cut(_ text: String, to width: Int) -> String {
    guard columnCount(of: text) > width else { return text }
    var result = ""
    var used = 0
    for character in text {
        let count = columnCount(of: String(character))
        guard used + count < width else { break }
        result.append(character)
        used += count
    }
    return width > 0 ? result + "…" : ""
}

/// `7 s`, `3 min`, `5 h 3 min`, `2 d 5 h`.
func durationText(_ seconds: Double) -> String {
    let total = Int(min(max(seconds, 0), 1e12))
    let (days, hours, minutes) = (total / 86_400, total / 3600 % 24, total / 60 % 60)
    if days > 0 { return "\(days) d \(hours) h" }
    if hours > 0 { return "\(hours) h \(minutes) min" }
    return minutes > 0 ? "\(minutes) min" : "\(total) s"
}
