import Foundation

/// The results as a table, for a terminal or for a README.
struct Table {
    let results: Results

    private static let heads = [
        "row", "work", "against", "ratio [95 %]", "goal (aim)", "met", "Heddle", "peer",
        "CPU Heddle / peer",
    ]

    /// Columns aligned by spaces.
    var terminal: String {
        let rows = [Self.heads] + results.findings.map(cells)
        let widths = Self.heads.indices.map { column in
            rows.map { $0[column].count }.max() ?? 0
        }
        let lines = rows.map { row in
            zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }.joined(separator: "  ")
        }
        return (lines + remarks).joined(separator: "\n") + "\n\n\(caption)\n"
    }

    var markdown: String {
        let rows = [Self.heads, Self.heads.map { _ in "---" }] + results.findings.map(cells)
        let lines = rows.map { "| " + $0.joined(separator: " | ") + " |" }
        let notes = remarks.isEmpty ? "" : "\n" + remarks.map { "- \($0)" }.joined(separator: "\n")
        return "\(caption)\n\n" + lines.joined(separator: "\n") + "\n\(notes)\n"
    }

    /// Machine, kernel, date and commit: absolute figures mean nothing without them.
    private var caption: String {
        let machine = results.machine
        return
            "Measured \(results.date.prefix(10)) at \(results.commit) on \(machine.cores) cores of "
            + "\(machine.processor), \(Int(machine.memoryGibibytes.rounded())) GiB, "
            + "Linux \(machine.kernel); "
            + (results.isFull ? "full run." : "quick run (fewer pairs, wider intervals).")
    }

    private var remarks: [String] {
        results.findings.compactMap { finding in
            (finding.notMeasured.map { "not measured: \($0)" } ?? finding.note)
                .map { "\(finding.line.id): \($0)" }
        }
    }

    private func cells(_ finding: Finding) -> [String] {
        let line = finding.line
        let ratio = finding.ratio.map {
            "\(number($0.median)) [\(number($0.low)), \(number($0.high))]"
        }
        return [
            line.id, line.what, line.against ?? "–", ratio ?? "–", goal(of: line),
            finding.verdict.rawValue, value(finding.ours, line), value(finding.theirs, line),
            costs(finding),
        ]
    }

    private func goal(of line: Line) -> String {
        switch line.goal {
        case .ratio(let floor, let aim): "≥ \(number(floor)) (\(number(aim)))"
        case .atMost(let floor, let aim): "≤ \(number(floor)) (\(number(aim))) \(line.unit)"
        case .atLeast(let floor, let aim): "≥ \(number(floor)) (\(number(aim))) \(line.unit)"
        case .same: "contains 1"
        case .none: "–"
        }
    }

    private func value(_ side: Side?, _ line: Line) -> String {
        side.map { "\(number($0.value)) \(line.unit)" } ?? "–"
    }

    private func costs(_ finding: Finding) -> String {
        func pair(_ cost: (Side) -> Double?, _ unit: String) -> String? {
            guard let ours = finding.ours.flatMap(cost), let theirs = finding.theirs.flatMap(cost)
            else { return nil }
            return "\(number(ours)) / \(number(theirs)) \(unit)"
        }
        return pair(\.nanosecondsPerFrame, "ns/frame")
            ?? pair(\.secondsPerGibibyte, "s/GiB") ?? "–"
    }

    private func number(_ value: Double) -> String { Figure.short(value) }
}
