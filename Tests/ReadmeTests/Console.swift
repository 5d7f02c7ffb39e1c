import Foundation
import TestSupport

/// A `console` block: commands behind `$ `, each with the output that the README shows for it.
///
/// A comment `# exit N` at a command's end is its expected status, 0 otherwise. In output, `…`
/// stands for anything: in a line for any text, alone on a line for any lines.
struct Console {
    struct Command {
        let line: Int
        let text: String
        let status: Int32
        var expected: [String] = []
    }

    private(set) var commands: [Command] = []

    init(_ block: ReadmeFile.Block) {
        for (index, line) in block.lines.enumerated() {
            guard line.hasPrefix("$ ") else {
                if commands.isEmpty { preconditionFailure("output before a command: \(line)") }
                commands[commands.count - 1].expected.append(line)
                continue
            }
            var text = String(line.dropFirst(2))
            var status: Int32 = 0
            if let match = text.firstMatch(of: /\s+#.*$/) {
                if let exit = match.output.firstMatch(of: /exit ([0-9]+)/) {
                    status = Int32(exit.1) ?? 0
                }
                text.removeSubrange(match.range)
            }
            commands.append(Command(line: block.line + 1 + index, text: text, status: status))
        }
    }

    /// The first expected line that is not in the output where it should be; nil if all are.
    static func firstMissing(of expected: [String], in output: String) -> String? {
        let lines = output.components(separatedBy: "\n").map(\.collapsingSpaces)
        var next = 0
        var mayskip = true
        for line in expected.map(\.collapsingSpaces) where !line.isEmpty {
            if line == "…" {
                mayskip = true
                continue
            }
            // Empty lines are for eyes.
            while !mayskip, next < lines.count, lines[next].isEmpty { next += 1 }
            let end = mayskip ? lines.count : min(next + 1, lines.count)
            guard let found = (next..<max(next, end)).first(where: { matches(lines[$0], line) })
            else { return line }
            next = found + 1
            mayskip = false
        }
        return nil
    }

    /// Whether a line is the pattern, in which `…` stands for any text.
    private static func matches(_ line: String, _ pattern: String) -> Bool {
        let pieces = pattern.components(separatedBy: "…")
        var rest = line[...]
        for (index, piece) in pieces.enumerated() {
            if index == 0 {
                guard rest.hasPrefix(piece) else { return false }
                rest = rest.dropFirst(piece.count)
            } else if index == pieces.count - 1 {
                return rest.hasSuffix(piece)
            } else {
                guard let found = rest.firstRange(of: piece) else { return false }
                rest = rest[found.upperBound...]
            }
        }
        return rest.isEmpty
    }
}
