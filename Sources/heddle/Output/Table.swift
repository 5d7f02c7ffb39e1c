/// Rows in aligned columns under a header, without borders; two spaces between columns.
struct Table {
    enum Alignment { case left, right }

    struct Column {
        let title: String
        let alignment: Alignment

        /// A column of text.
        static func text(_ title: String) -> Column { Column(title: title, alignment: .left) }
        /// A column of numbers.
        static func number(_ title: String) -> Column { Column(title: title, alignment: .right) }
    }

    struct Cell: ExpressibleByStringInterpolation {
        let text: String
        var style = Terminal.Style.plain

        init(_ text: String, _ style: Terminal.Style = .plain) {
            self.text = text
            self.style = style
        }

        init(stringLiteral value: String) { text = value }

        /// A dash stands for what does not apply.
        init(_ text: String?) { self.text = text ?? "-" }
        init(_ value: some BinaryInteger) { text = "\(value)" }
    }

    let columns: [Column]
    private(set) var rows: [[Cell]] = []

    init(_ columns: Column...) {
        self.init(columns: columns)
    }

    init(columns: [Column]) {
        self.columns = columns
    }

    mutating func append(_ cells: Cell...) {
        append(cells: cells)
    }

    mutating func append(cells: [Cell]) {
        precondition(cells.count == columns.count, "a row has one cell for each column")
        rows.append(cells)
    }

    /// The table as lines, each ended by a line feed.
    func rendered(colour: Bool = Terminal.hasColour) -> String {
        let texts = rows.map { $0.map { printable($0.text) } }
        let widths = columns.indices.map { column in
            texts.reduce(columnCount(of: columns[column].title)) {
                max($0, columnCount(of: $1[column]))
            }
        }
        var result = line(columns.map(\.title), columns.map { _ in .strong }, widths, colour)
        for (row, text) in zip(rows, texts) {
            result += line(text, row.map(\.style), widths, colour)
        }
        return result
    }

    private func line(
        _ texts: [String], _ styles: [Terminal.Style], _ widths: [Int], _ colour: Bool
    ) -> String {
        var result = ""
        for (index, text) in texts.enumerated() {
            let space = String(
                repeating: " ", count: max(0, widths[index] - columnCount(of: text)))
            let styled = Terminal.styled(text, styles[index], colour: colour)
            if index > 0 { result += "  " }
            switch columns[index].alignment {
            case .right: result += space + styled
            case .left: result += index == texts.count - 1 ? styled : styled + space
            }
        }
        return result + "\n"
    }
}

/// Name and value, one a line, for the details of one thing.
func described(_ fields: [(String, String?)]) -> String {
    let width = fields.map { columnCount(of: $0.0) }.max() ?? 0
    return fields.compactMap { name, value in
        value.map {
            name + ":" + String(repeating: " ", count: width - columnCount(of: name) + 1)
                + printable($0) + "\n"
        }
    }.joined()
}
