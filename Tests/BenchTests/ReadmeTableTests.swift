import Foundation
import Testing

@testable import heddle_bench

@Suite("The README's table of measurements")
struct ReadmeTableTests {
    @Test("has every row of the benchmark, the missed ones too, and no other")
    func rows() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let start = try #require(text.range(of: "<!-- bench -->"))
        let end = try #require(text.range(of: "<!-- /bench -->"))
        let table = text[start.upperBound..<end.lowerBound].split(separator: "\n")
            .filter { $0.hasPrefix("| ") }.dropFirst(2)
        let written = table.map { line in
            String(line.split(separator: "|")[0]).trimmingCharacters(in: .whitespaces)
        }
        #expect(written == Catalogue.rows.flatMap(\.lines).map(\.id))
    }
}
