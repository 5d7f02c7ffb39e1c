import Dataplane

/// What a capture says became of a frame: its comment begins with the verdict in words.
///
///     forwarded to PORT in network NETWORK
///     flooded in network NETWORK, or: flooded to N ports
///     dropped: REASON: sentence
///     consumed: sentence
///
/// A verdict ends with its line, or with a semicolon; what follows is for people. Anything else says
/// nothing.
package enum RecordedFate {
    package static func parse(_ comment: UnsafeRawBufferPointer) -> Fate? {
        let line = comment.prefix {
            $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: ";") && $0 != 0
        }
        let words = String(decoding: line, as: UTF8.self)
            .split(whereSeparator: \.isWhitespace).map(String.init)
        switch words.first {
        case "forwarded": return forwarded(words.dropFirst())
        case "flooded": return flooded(words.dropFirst())
        case "dropped:":
            let name = words.dropFirst().first.map { String($0.prefix { $0 != ":" }) } ?? ""
            guard !name.isEmpty else { return nil }
            return reasons[name].map { .dropped($0) } ?? .droppedOtherwise(name)
        case "consumed", "consumed:": return .consumed
        default: return nil
        }
    }

    /// No port's name has a space in it: of "a port that is gone" the name is not said.
    private static func forwarded(_ words: ArraySlice<String>) -> Fate? {
        let rest = Array(words)
        guard rest.count >= 2, rest[0] == "to", rest.count == 2 || rest[2] == "in" else {
            return nil
        }
        return .forwarded(rest[1])
    }

    private static func flooded(_ words: ArraySlice<String>) -> Fate? {
        let rest = Array(words)
        guard let first = rest.first, first != "in" else { return .floodedTo(count: nil) }
        guard rest.count >= 3, first == "to", rest[2].hasPrefix("port") else { return nil }
        return Int(rest[1]).map { .floodedTo(count: $0) }
    }

    private static let reasons = Dictionary(
        DropReason.allCases.filter { $0 != .none }.map { ($0.name, $0) },
        uniquingKeysWith: { first, _ in first })
}
