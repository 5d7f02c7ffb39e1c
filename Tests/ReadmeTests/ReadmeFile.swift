import Foundation

/// README.md, taken apart: its fenced blocks, its tables and its code spans, with their lines.
struct ReadmeFile {
    struct Block {
        /// What follows the opening fence, such as `console`.
        let language: String
        /// The line of the opening fence, from 1.
        let line: Int
        let lines: [String]

        var text: String { lines.map { $0 + "\n" }.joined() }
    }

    struct Table {
        let line: Int
        let header: [String]
        let rows: [[String]]
    }

    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    let lines: [String]
    private(set) var blocks: [Block] = []
    private(set) var tables: [Table] = []
    /// Code between single backticks, outside of blocks.
    private(set) var spans: [(line: Int, code: String)] = []

    init() throws {
        let url = Self.root.appending(path: "README.md")
        lines = try String(contentsOf: url, encoding: .utf8).components(separatedBy: "\n")
        var open: (language: String, line: Int, lines: [String])?
        for (index, line) in lines.enumerated() {
            if line.hasPrefix("```") {
                if let block = open {
                    blocks.append(
                        Block(language: block.language, line: block.line, lines: block.lines))
                    open = nil
                } else {
                    open = (String(line.dropFirst(3)), index + 1, [])
                }
            } else if open != nil {
                open?.lines.append(line)
            } else {
                let pieces = line.components(separatedBy: "`")
                precondition(pieces.count % 2 == 1, "README.md:\(index + 1): code ends elsewhere")
                for piece in stride(from: 1, to: pieces.count - 1, by: 2) {
                    spans.append((index + 1, pieces[piece]))
                }
                readTableRow(line, number: index + 1)
            }
        }
        precondition(open == nil, "README.md: a block is not closed")
    }

    /// A row after a row belongs to its table; the row of dashes is left out.
    private mutating func readTableRow(_ line: String, number: Int) {
        guard line.hasPrefix("|") else { return }
        let cells = line.dropFirst().dropLast().replacing("\\|", with: "\u{1}")
            .split(separator: "|", omittingEmptySubsequences: false)
            .map { $0.replacing("\u{1}", with: "|").trimmingCharacters(in: .whitespaces) }
        if cells.allSatisfy({ $0.allSatisfy { $0 == "-" || $0 == ":" } }) { return }
        if let last = tables.last, last.line + last.rows.count + 2 == number {
            tables[tables.count - 1] = Table(
                line: last.line, header: last.header, rows: last.rows + [cells])
        } else {
            tables.append(Table(line: number, header: cells, rows: []))
        }
    }
}

extension String {
    /// Without the backticks of Markdown.
    var plain: String { replacing("`", with: "") }

    var collapsingSpaces: String {
        split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
    }
}
