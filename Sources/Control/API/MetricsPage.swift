/// Text in the Prometheus exposition format that grows by families and their samples.
struct MetricsPage {
    enum Kind: String { case counter, gauge }

    private(set) var text = ""
    private var name = ""

    /// Begins a family; the samples that follow are its own.
    mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        self.name = name
        text += "# HELP \(name) \(MetricsPage.escaped(help, quotes: false))\n"
        text += "# TYPE \(name) \(kind.rawValue)\n"
    }

    /// - Parameter value: a number, in Swift's spelling, which is also Go's, or its text.
    mutating func sample(_ value: some CustomStringConvertible, _ labels: [(String, String)] = []) {
        let list = labels.map { "\($0)=\"\(MetricsPage.escaped($1, quotes: true))\"" }
        text += name + (list.isEmpty ? "" : "{" + list.joined(separator: ",") + "}")
        text += " \(value)\n"
    }

    /// Backslash and line feed are escaped everywhere, quotes in label values only.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }) else {
            return text
        }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
