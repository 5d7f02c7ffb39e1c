import Yams

/// From bytes to a tree of `YAMLNode`, whatever the bytes are.
///
/// Yams composes the file; libyaml below it bounds nesting (1000 levels). Three things are done
/// around it, because a file may come from anyone:
///
/// - *Aliases never reach Yams.* It would share the anchored node, but hash it in full where it is
///   part of a key, which is how "a billion laughs" takes hours. So every `*` that could begin an
///   alias is replaced by a private-use character of equal width before composing; a plain scalar
///   that begins with it is an alias, which is resolved here, in document order, against a budget
///   of nodes; anywhere else it turns back into `*`. Yams hashes keys once for each mapping that
///   they are part of, so keys that are themselves collections are counted before as well.
/// - *Repeated keys.* Yams stops at the first and tells one place. Its key is masked in the same
///   way and the file composed again, until both occurrences can be seen in the tree and told with
///   everything else that is wrong. The number of rounds is bounded.
/// - *Text only.* What YAML forbids (control characters) is refused by place beforehand.
///
/// Cost: linear in the file; composing dominates.
struct YAMLTree {
    /// 16384 ports of thirty nodes each, written out.
    static let weightLimit = 500_000
    /// The deepest thing that a topology has is a list in a port's attachment: 6 levels.
    static let heightLimit = 32
    private static let collectionKeyLimit = 64
    private static let repeatedKeyLimit = 16

    /// U+F8C0 to U+F8FF, the end of the private-use area, is ours: the last one masks `*`, those
    /// from the first on mask one repeated key each.
    private static let firstMask: UInt32 = 0xF8C0
    private static let aliasMask: Unicode.Scalar = "\u{F8FF}"

    private var anchors: [String: YAMLNode] = [:]
    /// The text of masked keys, by mask.
    private var maskedKeys: [String] = []
    private var diagnostics: Diagnostics

    /// The root, or nil for a file without content. Problems go to `diagnostics`; after one that
    /// leaves no tree to look at, nil as well.
    static func parse(_ bytes: [UInt8], diagnostics: inout Diagnostics) -> YAMLNode? {
        guard let source = text(of: bytes, diagnostics: &diagnostics) else { return nil }
        var tree = YAMLTree(diagnostics: diagnostics)
        defer { diagnostics = tree.diagnostics }
        return tree.compose(source)
    }

    private init(diagnostics: Diagnostics) {
        self.diagnostics = diagnostics
    }

    // MARK: Bytes to text

    /// The file's text with aliases masked.
    private static func text(of bytes: [UInt8], diagnostics: inout Diagnostics) -> String? {
        let bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
        guard let whole = String(validating: bytes, as: UTF8.self) else {
            let valid = validPrefix(of: bytes)
            diagnostics.report(
                location(after: valid), "the file is not UTF-8 text: is it a topology file?")
            return nil
        }
        var collectionKeyCount = 0
        var lastSolid: UInt8 = 0
        var previous: UInt8 = 0
        var masked: [UInt8] = []
        masked.reserveCapacity(bytes.count + bytes.count / 8)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let byte = bytes[index]
            let next = index + 1 < bytes.endIndex ? bytes[index + 1] : 0
            let isControl =
                byte < 0x20 && byte != 0x09 && byte != 0x0A && byte != 0x0D || byte == 0x7F
                || byte == 0xC2 && next < 0xA0 && next != 0x85
            let isReserved = byte == 0xEF && next == 0xA3
            if isControl || isReserved {
                let value = String(decoding: bytes[index...].prefix(3), as: UTF8.self)
                    .unicodeScalars.first?.value
                let digits = String(value ?? 0, radix: 16, uppercase: true)
                let code = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
                diagnostics.report(
                    location(after: String(decoding: bytes[..<index], as: UTF8.self)),
                    "the character U+\(code) is not allowed: is it a topology file?")
                return nil
            }
            if byte == UInt8(ascii: "?") && mayStandBeforeKey(previous)
                || byte == UInt8(ascii: ":")
                    && (lastSolid == UInt8(ascii: "]") || lastSolid == UInt8(ascii: "}"))
            {
                collectionKeyCount += 1
            }
            if byte > 0x20 { lastSolid = byte }
            previous = byte
            if byte == UInt8(ascii: "*"), isAnchorByte(next) {
                masked.append(contentsOf: String(aliasMask).utf8)
            } else {
                masked.append(byte)
            }
            index += 1
        }
        guard collectionKeyCount <= collectionKeyLimit else {
            diagnostics.report(nil, "too many keys that are lists or mappings: keys are names")
            return nil
        }
        return masked.count == bytes.count ? whole : String(decoding: masked, as: UTF8.self)
    }

    /// Whether a `?` behind the byte may announce a key: behind an indicator, space, or the last
    /// byte of a line break or of a byte order mark. Elsewhere it is a part of some text, such as a
    /// pattern of device names.
    private static func mayStandBeforeKey(_ byte: UInt8) -> Bool {
        switch byte {
        case 0...0x20, UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ":"),
            UInt8(ascii: "?"), 0x85, 0xA8, 0xA9, 0xBF:
            true
        default: false
        }
    }

    private static func isAnchorByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func validPrefix(of bytes: ArraySlice<UInt8>) -> String {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var valid = ""
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            valid.unicodeScalars.append(scalar)
        }
        return valid
    }

    /// The place where text that begins with `prefix` goes on. Line breaks are those of YAML 1.1.
    private static func location(after prefix: String) -> SourceLocation {
        var location = SourceLocation(line: 1, column: 1)
        var previous: Unicode.Scalar = " "
        for scalar in prefix.unicodeScalars {
            if isBreak(scalar) {
                if !(scalar == "\n" && previous == "\r") { location.line += 1 }
                location.column = 1
            } else {
                location.column += 1
            }
            previous = scalar
        }
        return location
    }

    private static func isBreak(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A, 0x0D, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    // MARK: Text to nodes

    private mutating func compose(_ text: String) -> YAMLNode? {
        var text = text
        while true {
            do {
                // Without rules every scalar stays the text that it is; types are ours to judge.
                let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
                guard let root = try parser.singleRoot() else { return nil }
                // Nodes refer weakly to their anchors, which the parser owns.
                return withExtendedLifetime(parser) { convert(root, depth: 0) }
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                let place = SourceLocation(context.mark)
                guard let key = keys.first, let masked = mask(key, at: place, in: text) else {
                    diagnostics.report(
                        place, "key \(quoted(keys.first ?? "")) appears twice in one mapping")
                    return nil
                }
                text = masked
            } catch let error as YamlError {
                report(error)
                return nil
            } catch {
                diagnostics.report(nil, "the YAML cannot be read: \(error)")
                return nil
            }
        }
    }

    /// The text with that key masked; nil when the key is not spelled there as it reads (escapes),
    /// or after so many rounds.
    private mutating func mask(
        _ key: String, at place: SourceLocation, in text: String
    ) -> String? {
        let rounds = maskedKeys.count
        guard rounds < Self.repeatedKeyLimit, rounds * text.utf8.count < 2 << 20, !key.isEmpty,
            let mask = Unicode.Scalar(Self.firstMask + UInt32(rounds))
        else { return nil }
        let scalars = text.unicodeScalars
        var index = scalars.startIndex
        var line = 1
        while line < place.line, index < scalars.endIndex {
            let scalar = scalars[index]
            index = scalars.index(after: index)
            guard Self.isBreak(scalar) else { continue }
            if scalar == "\r", index < scalars.endIndex, scalars[index] == "\n" { continue }
            line += 1
        }
        guard
            var start = scalars.index(
                index, offsetBy: place.column - 1, limitedBy: scalars.endIndex),
            start < scalars.endIndex
        else { return nil }
        if scalars[start] == "'" || scalars[start] == "\"" { start = scalars.index(after: start) }
        guard scalars[start...].starts(with: key.unicodeScalars),
            let end = scalars.index(
                start, offsetBy: key.unicodeScalars.count, limitedBy: scalars.endIndex)
        else { return nil }
        maskedKeys.append(unmasked(key))
        let cover = String.UnicodeScalarView(
            repeatElement(mask, count: key.unicodeScalars.count))
        return String(scalars[..<start]) + String(cover) + String(scalars[end...])
    }

    private func unmasked(_ text: String) -> String {
        guard let first = text.unicodeScalars.first else { return text }
        if first.value >= Self.firstMask, first.value < Self.firstMask + UInt32(maskedKeys.count) {
            return maskedKeys[Int(first.value - Self.firstMask)]
        }
        guard text.unicodeScalars.contains(Self.aliasMask) else { return text }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0 == Self.aliasMask ? "*" : $0 }))
    }

    /// The node as ours, aliases resolved. Nil after a problem.
    private mutating func convert(_ node: Node, depth: Int) -> YAMLNode? {
        let place = node.mark.map { SourceLocation($0) } ?? SourceLocation(line: 1, column: 1)
        guard depth < Self.heightLimit else {
            diagnostics.report(
                place, "lists and mappings are nested more than \(Self.heightLimit) deep")
            return nil
        }
        guard let content = content(of: node, at: place, depth: depth) else { return nil }
        if case .alias(let target) = content { return target }
        guard case .own(let own) = content else { return nil }
        let result = YAMLNode(own, at: place)
        guard result.weight <= Self.weightLimit else {
            diagnostics.report(
                place,
                "more than \(Self.weightLimit) values, aliases written out: "
                    + "\(Topology.filePortLimit) ports need fewer")
            return nil
        }
        if let anchor = node.anchor { anchors[anchor.rawValue] = result }
        return result
    }

    private enum Converted {
        case own(YAMLNode.Content)
        case alias(YAMLNode)
    }

    private mutating func content(
        of node: Node, at place: SourceLocation, depth: Int
    ) -> Converted? {
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain
            if isPlain, scalar.string.unicodeScalars.first == Self.aliasMask {
                let name = String(scalar.string.unicodeScalars.dropFirst())
                guard let target = anchors[name] else {
                    diagnostics.report(
                        place,
                        "alias \(quoted("*" + name)) has no anchor before it: text that begins with "
                            + "'*' needs quotes")
                    return nil
                }
                guard target.height + depth <= Self.heightLimit else {
                    diagnostics.report(
                        place, "lists and mappings are nested more than \(Self.heightLimit) deep")
                    return nil
                }
                return .alias(target)
            }
            return .own(.scalar(unmasked(scalar.string), isPlain: isPlain))
        case .sequence(let sequence):
            var elements: [YAMLNode] = []
            for element in sequence {
                guard let element = convert(element, depth: depth + 1) else { return nil }
                elements.append(element)
            }
            return .own(.list(elements))
        case .mapping(let mapping):
            var pairs: [(key: YAMLNode, value: YAMLNode)] = []
            var places: [String: SourceLocation] = [:]
            for (key, value) in mapping {
                guard let key = convert(key, depth: depth + 1),
                    let value = convert(value, depth: depth + 1)
                else { return nil }
                if let name = key.text {
                    if let first = places[name] {
                        diagnostics.report(
                            key.location,
                            "key \(quoted(name)) appears twice; the first is at \(first)")
                        continue
                    }
                    places[name] = key.location
                }
                pairs.append((key, value))
            }
            return .own(.mapping(pairs))
        case .alias:
            // Only a tree built by hand has these: the parser resolves them.
            return nil
        }
    }

    private mutating func report(_ error: YamlError) {
        switch error {
        case .composer(_, _, let mark, _):
            // Aliases are masked, so a second document is all that is left to complain about.
            diagnostics.report(
                SourceLocation(mark), "a second document begins here: a topology is one document")
        case .parser(_, let problem, let mark, _) where problem.hasPrefix("Maximum nesting"):
            diagnostics.report(
                SourceLocation(mark),
                "lists and mappings are nested more than \(Self.heightLimit) deep")
        case .scanner(_, let problem, let mark, _) where problem.hasSuffix("or numeric character"):
            diagnostics.report(
                SourceLocation(mark),
                "not valid YAML: text that begins with '*' or '&' needs quotes")
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _):
            diagnostics.report(SourceLocation(mark), "not valid YAML: \(problem)")
        case .reader(let problem, let offset, _, let text):
            let place = offset.map { Self.location(after: String(text.prefix($0))) }
            diagnostics.report(place, "not valid YAML: \(problem)")
        default:
            diagnostics.report(nil, "the YAML cannot be read: \(error)")
        }
    }
}

extension SourceLocation {
    fileprivate init(_ mark: Mark) {
        self.init(line: mark.line, column: mark.column)
    }
}
