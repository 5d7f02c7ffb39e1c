import ArgumentParser
import CLinux
import Foundation

/// `heddle-bench`: what `make bench` runs.
@main
struct HeddleBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heddle-bench",
        abstract: "Compare Heddle with other switches and with C.",
        subcommands: [RunBench.self, ListRows.self, PrintTable.self])
}

struct RunBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Measure, print the table, write JSON.",
        discussion: """
            Everything happens in namespaces of its own (network, mounts, processes), which end \
            with it. Exits 0 when every row was measured, whether or not it met its goal; 1 when \
            one was not.
            """)

    @Option(help: "Rows: comma-separated ids or patterns, such as 'tap-*,aa-64'.")
    var only: String?

    @Flag(help: "More pairs and longer trials.")
    var full = false

    @Option(help: "Where heddle, heddle-generator and heddle-core are.")
    var products = ".build/release"

    @Option(help: "Where the C programs are.")
    var twins = ".build/bench"

    @Option(help: "Where to write the results.")
    var output = ".build/bench/results.json"

    @Option(help: "What is measured, in git's words.")
    var commit = "an unknown commit"

    func validate() throws {
        for pattern in (only ?? "*").split(separator: ",", omittingEmptySubsequences: false)
        where Catalogue.select(String(pattern)).isEmpty {
            let ids = Catalogue.rows.flatMap(\.lines).map(\.id).joined(separator: ", ")
            throw ValidationError("no row matches '\(pattern)'; the rows are \(ids)")
        }
    }

    func run() throws {
        guard Isolation.isInside else {
            throw ExitCode(try Isolation.runInside())
        }
        try Isolation.furnish()
        let rows = only.map(Catalogue.select) ?? Catalogue.rows
        let progress = Progress()
        let bench = Bench(
            isFull: full, products: absolute(products), twins: absolute(twins), progress: progress)
        var findings: [Finding] = []
        for row in rows {
            progress.begin(row.lines.map(\.id).joined(separator: ", "))
            let found = measure(row, with: bench)
            progress.end(found.map(Self.summary))
            findings += found
        }
        let results = Results(
            findings: findings, commit: commit, isFull: full, seconds: bench.seconds)
        try results.write(output)
        print(Table(results: results).terminal, terminator: "")
        if findings.contains(where: { $0.verdict == .notMeasured }) { throw ExitCode(1) }
    }

    private func measure(_ row: any Row, with bench: Bench) -> [Finding] {
        do {
            return try row.measure(bench)
        } catch {
            return row.lines.map { Finding($0, notMeasured: "\(error)") }
        }
    }

    private static func summary(_ finding: Finding) -> String {
        if let reason = finding.notMeasured {
            return "NOT MEASURED: \(finding.line.id): \(reason)"
        }
        let ratio = finding.ratio.map {
            String(format: "%.3f [%.3f, %.3f]", $0.median, $0.low, $0.high)
        }
        let value = String(format: "%.3f ", finding.ours?.value ?? 0) + finding.line.unit
        let discarded = finding.pairs.count - finding.keptPairs
        return "\(finding.line.id): "
            + (ratio ?? value)
            + (discarded > 0 ? ", \(discarded) disturbed pairs discarded" : "")
    }

    private func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }
}

struct ListRows: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Name the rows and how they are measured.")

    func run() {
        for line in Catalogue.rows.flatMap(\.lines) {
            print("\(line.id)\t\(line.what), against \(line.against ?? "its goal"): \(line.how)")
        }
    }
}

struct PrintTable: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table", abstract: "Print results as Markdown.")

    @Argument(help: "What 'run' has written.")
    var file = ".build/bench/results.json"

    func run() throws {
        print(Table(results: try Results.read(file)).markdown, terminator: "")
    }
}
