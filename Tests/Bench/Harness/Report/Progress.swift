import CLinux
import Foundation

/// What is being done, on standard error: a line that is rewritten on a terminal; nothing but the
/// rows' results in a pipe.
final class Progress {
    private let isTerminal = isatty(2) == 1
    private var row = ""

    func begin(_ row: String) {
        self.row = row
        if isTerminal { write("\r\u{1b}[K\(row) …") }
    }

    func step(_ step: String) {
        if isTerminal { write("\r\u{1b}[K\(row): \(step)") }
    }

    func end(_ results: [String]) {
        if isTerminal { write("\r\u{1b}[K") }
        for result in results { write("\(result)\n") }
    }

    private func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}
