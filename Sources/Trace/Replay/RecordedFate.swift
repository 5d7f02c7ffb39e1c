import Dataplane

/// What a capture says became of a frame: its comment begins with the verdict in words.
///
///     forwarded to PORT
///     flooded to N ports
///     dropped: REASON: sentence
///     consumed
///
/// A verdict ends with its line, or with a semicolon; what follows is for people. Anything else says
/// nothing.
package enum RecordedFate {
    package static func parse(_ comment: UnsafeRawBufferPointer) -> Fate? {
        let line = comment.prefix {
            $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: ";") && $0 != 0
        }
        let text = String(decoding: line, as: UTF8.self)
        if let rest = text.after("forwarded to ") {
            return rest.isEmpty ? nil : .forwarded(rest.trimmed)
        }
        if let rest = text.after("flooded to ") {
            return Int(rest.prefix { $0.isNumber }).map { .floodedTo(count: $0) }
        }
        if let rest = text.after("dropped: ") {
            let name = String(rest.prefix { $0 != ":" && !$0.isWhitespace })
            guard !name.isEmpty else { return nil }
            return reasons[name].map { .dropped($0) } ?? .droppedOtherwise(name)
        }
        return text.trimmed == "consumed" || text.hasPrefix("consumed:") ? .consumed : nil
    }

    private static let reasons = Dictionary(
        DropReason.allCases.filter { $0 != .none }.map { ($0.name, $0) },
        uniquingKeysWith: { first, _ in first })
}

extension String {
    fileprivate func after(_ prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }

    /// Without white space and a full stop or comma at its end, and white space at its start.
    fileprivate var trimmed: String {
        var rest = Substring(self)
        while let last = rest.last, last.isWhitespace || last == "," { rest.removeLast() }
        return String(rest.drop(while: \.isWhitespace))
    }
}
