/// What is wrong with a topology file: one line each, in the order of the file.
package struct TopologyError: Error, Equatable, CustomStringConvertible {
    /// One thing wrong, at one place.
    package struct Problem: Sendable, Equatable {
        /// Nil when the file as a whole is meant: missing, too large, unreadable.
        package var location: SourceLocation?
        package var message: String

        package init(location: SourceLocation?, message: String) {
            self.location = location
            self.message = message
        }
    }

    /// More than this many lines nobody reads; the first few usually cause the others.
    package static let shownLimit = 20

    package var file: String
    /// At most `shownLimit`, sorted by place; never empty.
    package var problems: [Problem]
    /// Problems left out.
    package var omittedCount: Int

    package init(file: String, problems: [Problem]) {
        var sorted: [Problem] = []
        let ordered = problems.enumerated().sorted { left, right in
            let start = SourceLocation(line: 0, column: 0)
            let (a, b) = (left.element.location ?? start, right.element.location ?? start)
            return a == b ? left.offset < right.offset : a < b
        }
        // An alias leads to the same place twice; its problem is told once.
        for (_, problem) in ordered where sorted.last != problem { sorted.append(problem) }
        self.file = file
        self.problems = Array(sorted.prefix(Self.shownLimit))
        self.omittedCount = sorted.count - self.problems.count
    }

    /// `lab.yaml:14:12: port 'web-2': network 'bleu' is not declared (did you mean 'blue'?)`
    package var lines: [String] {
        var lines = problems.map { problem in
            guard let location = problem.location else { return "\(file): \(problem.message)" }
            return "\(file):\(location): \(problem.message)"
        }
        if omittedCount > 0 { lines.append("\(file): and \(omittedCount) more") }
        return lines
    }

    package var description: String { lines.joined(separator: "\n") }
}

/// Problems as they are found, and how they speak.
struct Diagnostics {
    /// Beyond this the file is not worth a longer look; `TopologyError` shows far fewer.
    private static let limit = 10_000
    /// Suggestions compare a word with thousands of names, so only what will be read gets one.
    private var suggestionsLeft = TopologyError.shownLimit

    private(set) var problems: [TopologyError.Problem] = []

    var isFull: Bool { problems.count >= Self.limit }

    mutating func report(_ location: SourceLocation?, _ message: String) {
        guard !isFull else { return }
        problems.append(.init(location: location, message: message))
    }

    /// ` (did you mean 'blue'?)`, or nothing when no candidate is near.
    mutating func suggestion(for word: String, among candidates: some Sequence<String>) -> String {
        guard suggestionsLeft > 0 else { return "" }
        suggestionsLeft -= 1
        guard let near = nearestWord(to: word, among: candidates) else { return "" }
        return " (did you mean '\(near)'?)"
    }
}

/// Text of the file as a message quotes it: on one line, short, nothing a terminal would obey.
func quoted(_ text: String) -> String {
    var result = "'"
    for (count, scalar) in text.unicodeScalars.enumerated() {
        if count == 40 {
            result += "…"
            break
        }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
            result += "\\u{\(String(scalar.value, radix: 16))}"
        default:
            result.unicodeScalars.append(scalar)
        }
    }
    return result + "'"
}
