import Glibc

/// What the standard streams are and how to speak to them.
enum Terminal {
    /// Colours that carry meaning; plain when the output is not a terminal.
    enum Style: String {
        case plain = ""
        case good = "\u{1B}[32m"
        case warning = "\u{1B}[33m"
        case bad = "\u{1B}[31m"
        case strong = "\u{1B}[1m"
    }

    static let isOutputTerminal = isatty(STDOUT_FILENO) == 1
    static let isErrorTerminal = isatty(STDERR_FILENO) == 1

    /// Colour only on a terminal that has it and whose user wants it (no-color.org).
    static let hasColour =
        isOutputTerminal && getenv("NO_COLOR") == nil
        && getenv("TERM").map { String(cString: $0) } != "dumb"

    static func styled(_ text: String, _ style: Style, colour: Bool = hasColour) -> String {
        colour && style != .plain && !text.isEmpty ? style.rawValue + text + "\u{1B}[0m" : text
    }

    /// Writes an error as every error of heddle looks.
    static func complain(_ text: String) {
        writeError("heddle: \(text)\n")
    }

    static func writeError(_ text: String) { write(text, to: STDERR_FILENO) }

    /// Writes at once, also into a pipe, where `print` would wait for a full buffer.
    static func writeOutput(_ text: String) { write(text, to: STDOUT_FILENO) }

    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 || errno == EINTR else { return }
            written += max(count, 0)
        }
    }
}
