import Wire

/// A mapping of the file, checked against its `MappingKind`: every value is of the kind that its
/// key asks for. Values that were wrong have been reported and are missing.
struct Section {
    let kind: MappingKind
    /// Such as `ports.web-1.tap`; the root's is empty.
    let path: String
    /// What messages begin with, such as `port 'web-1': `; the root's is empty.
    let subject: String
    let location: SourceLocation
    fileprivate(set) var values: [String: CheckedValue] = [:]
    /// Keys that the file gives, right or wrong.
    fileprivate(set) var given: Set<String> = []

    /// Reading a key that the table does not have is a mistake of ours.
    private func value(_ key: String) -> CheckedValue? {
        precondition(kind.keys.contains { $0.name == key }, "\(kind.title) has no key '\(key)'")
        return values[key]
    }

    func integer(_ key: String) -> Int? {
        guard case .integer(let number) = value(key) else { return nil }
        return number
    }

    func boolean(_ key: String) -> Bool? {
        guard case .boolean(let flag) = value(key) else { return nil }
        return flag
    }

    func text(_ key: String) -> String? {
        guard case .text(let text) = value(key) else { return nil }
        return text
    }

    func vlan(_ key: String) -> VLANID? {
        guard case .vlan(let vlan) = value(key) else { return nil }
        return vlan
    }

    func network(_ key: String) -> NetworkReference? {
        guard case .network(let network) = value(key) else { return nil }
        return network
    }

    func mac(_ key: String) -> MACAddress? {
        guard case .mac(let mac) = value(key) else { return nil }
        return mac
    }

    func host(_ key: String) -> IPAddress? {
        guard case .host(let address) = value(key) else { return nil }
        return address
    }

    func endpoint(_ key: String) -> UDPEndpoint? {
        guard case .endpoint(let endpoint) = value(key) else { return nil }
        return endpoint
    }

    func pairs(_ key: String) -> [CheckedPair] {
        guard case .pairs(let pairs) = value(key) else { return [] }
        return pairs
    }

    func list(_ key: String) -> [CheckedElement]? {
        guard case .list(let elements) = value(key) else { return nil }
        return elements
    }

    func section(_ key: String) -> Section? {
        guard case .section(let section) = value(key) else { return nil }
        return section
    }

    func named(_ key: String) -> [NamedSection] {
        guard case .named(let sections) = value(key) else { return [] }
        return sections
    }
}

/// A section under a name that the file chose.
struct NamedSection {
    let name: String
    let section: Section
}

/// Checks a tree against the table of keys: unknown, missing and clashing keys, and the form of
/// every value. What values mean together is `TopologyDecoder`'s.
struct SectionReader {
    var diagnostics: Diagnostics
    private(set) var locations: [String: SourceLocation] = [:]

    init(diagnostics: Diagnostics) {
        self.diagnostics = diagnostics
    }

    /// The section, or nil when the node is not a mapping.
    mutating func read(
        _ node: YAMLNode, as kind: MappingKind, path: String, subject: String,
        location: SourceLocation
    ) -> Section? {
        let pairs: [(key: YAMLNode, value: YAMLNode)]
        if case .mapping(let given) = node.content {
            pairs = given
        } else if node.isNull {
            // `blue:` with nothing behind it says that all is as by default.
            pairs = []
        } else {
            let expectation = ValueKind.mapping(kind).expectation
            diagnostics.report(
                node.location,
                "\(subject.isEmpty ? "the file " : subject)must be \(expectation), "
                    + "not \(node.found)")
            return nil
        }
        var section = Section(kind: kind, path: path, subject: subject, location: location)
        for (key, value) in pairs {
            guard let name = key.text else {
                diagnostics.report(key.location, "\(subject)a key must be a word, not \(key.found)")
                continue
            }
            guard let row = kind.keys.first(where: { $0.name == name }) else {
                reportUnknown(name, at: key.location, in: section)
                continue
            }
            section.given.insert(name)
            let path = path.isEmpty ? name : "\(path).\(name)"
            locations[path] = value.location
            section.values[name] = read(value, as: row.kind, key: name, path: path, in: section)
        }
        checkPresence(in: section)
        return section
    }

    private mutating func reportUnknown(
        _ name: String, at location: SourceLocation, in section: Section
    ) {
        guard name != "<<" else {
            diagnostics.report(location, "\(section.subject)\(Self.mergeKeyRefusal)")
            return
        }
        let known = section.kind.keys.map(\.name)
        var hint = diagnostics.suggestion(for: name, among: known)
        if hint.isEmpty { hint = "; known are \(keyList(known, joinedBy: "and"))" }
        diagnostics.report(location, "\(section.subject)unknown key \(quoted(name))\(hint)")
    }

    private static let mergeKeyRefusal =
        "merge keys ('<<') are not part of this format: write the values out"

    private mutating func checkPresence(in section: Section) {
        let (kind, given, subject) = (section.kind, section.given, section.subject)
        for row in kind.keys where row.isRequired && !given.contains(row.name) {
            diagnostics.report(
                section.location,
                "\(subject)'\(row.name)' is missing: it must be \(row.kind.expectation)")
        }
        for group in kind.exactlyOne {
            let present = group.keys.filter(given.contains)
            guard present.count != 1 else { continue }
            let got =
                present.isEmpty
                ? "it has none"
                : "it has \(keyList(present, joinedBy: "and"))"
            diagnostics.report(
                section.location,
                "\(subject)needs exactly one \(group.title), \(keyList(group.keys)); \(got)")
        }
        if !kind.atLeastOne.isEmpty, given.isDisjoint(with: kind.atLeastOne) {
            diagnostics.report(
                section.location,
                "\(subject)needs \(keyList(kind.atLeastOne)), "
                    + "or \(kind.atLeastOne.count == 2 ? "both" : "several")")
        }
        for (key, other, reason) in kind.needs
        where given.contains(key) && !given.contains(other) {
            diagnostics.report(
                locations["\(section.path).\(key)"] ?? section.location,
                "\(subject)'\(key)' makes sense with '\(other)' only"
                    + (reason.isEmpty ? "" : ": \(reason)"))
        }
        for condition in kind.conditions { check(condition, in: section) }
    }

    private mutating func check(_ condition: KeyCondition, in section: Section) {
        if section.given.contains(condition.other) {
            // A value that was refused says nothing about the other keys.
            guard case .text(let value) = section.values[condition.other],
                !condition.values.contains(value)
            else { return }
        } else if condition.holdsWithoutOther {
            return
        }
        let others = keyList(condition.values.map { "\(condition.other): \($0)" })
        for key in condition.keys where section.given.contains(key) {
            diagnostics.report(
                locations["\(section.path).\(key)"] ?? section.location,
                "\(section.subject)'\(key)' makes sense with \(others) only: \(condition.reason)")
        }
    }

    private mutating func read(
        _ node: YAMLNode, as kind: ValueKind, key: String, path: String, in section: Section
    ) -> CheckedValue? {
        let subject = section.subject
        switch (kind, node.content) {
        case (.mapping(let mapping), _):
            return read(
                node, as: mapping, path: path, subject: "\(subject)\(key): ",
                location: node.location
            ).map { .section($0) }
        case (.named(let mapping, let limit), .mapping(let pairs)):
            guard pairs.count <= limit else {
                diagnostics.report(
                    node.location,
                    "\(subject)\(pairs.count) \(mapping.title)s are too many: the limit is \(limit)"
                )
                return nil
            }
            return .named(readNamed(pairs, as: mapping, path: path, subject: subject))
        case (.named, _) where node.isNull:
            return .named([])
        case (.byNetwork(let element), .mapping(let pairs)):
            return .pairs(readPairs(pairs, of: element, path: path, subject: "\(subject)\(key): "))
        case (.list(let element, let minimum), .list(let nodes)):
            return readList(
                nodes, at: node.location, of: element, minimum: minimum, key: key, path: path,
                subject: subject)
        case (_, .scalar(let text, let isPlain)) where !node.isNull:
            switch kind.check(text, isPlain: isPlain) {
            case .success(let value): return value
            case .failure(let problem):
                diagnostics.report(node.location, "\(subject)'\(key)' \(problem.clause)")
                return nil
            }
        default:
            diagnostics.report(
                node.location, "\(subject)'\(key)' must be \(kind.expectation), not \(node.found)")
            return nil
        }
    }

    private mutating func readNamed(
        _ pairs: [(key: YAMLNode, value: YAMLNode)], as mapping: MappingKind, path: String,
        subject: String
    ) -> [NamedSection] {
        var sections: [NamedSection] = []
        for (key, value) in pairs {
            guard !diagnostics.isFull else { break }
            guard key.text != "<<" else {
                diagnostics.report(key.location, "\(subject)\(Self.mergeKeyRefusal)")
                continue
            }
            guard let name = key.text, Name.isValid(name) else {
                diagnostics.report(
                    key.location,
                    "\(subject)a \(mapping.title) is called by \(ValueKind.name.expectation), "
                        + "not \(key.found)")
                continue
            }
            locations["\(path).\(name)"] = key.location
            if let section = read(
                value, as: mapping, path: "\(path).\(name)",
                subject: "\(subject)\(mapping.title) '\(name)': ", location: key.location)
            {
                sections.append(NamedSection(name: name, section: section))
            }
        }
        return sections
    }

    private mutating func readPairs(
        _ pairs: [(key: YAMLNode, value: YAMLNode)], of element: ValueKind, path: String,
        subject: String
    ) -> [CheckedPair] {
        var values: [CheckedPair] = []
        for (key, value) in pairs {
            guard let name = key.text, Name.isValid(name) else {
                diagnostics.report(
                    key.location,
                    "\(subject)a network is called by \(ValueKind.name.expectation), "
                        + "not \(key.found)")
                continue
            }
            guard case .scalar(let text, let isPlain) = value.content, !value.isNull else {
                diagnostics.report(
                    value.location,
                    "\(subject)'\(name)' must be \(element.expectation), not \(value.found)")
                continue
            }
            locations["\(path).\(name)"] = value.location
            switch element.check(text, isPlain: isPlain) {
            case .success(let checked):
                values.append(
                    CheckedPair(
                        name: name, value: checked, keyLocation: key.location,
                        location: value.location))
            case .failure(let problem):
                diagnostics.report(value.location, "\(subject)'\(name)' \(problem.clause)")
            }
        }
        return values
    }

    private mutating func readList(
        _ nodes: [YAMLNode], at location: SourceLocation, of element: ValueKind, minimum: Int,
        key: String, path: String, subject: String
    ) -> CheckedValue? {
        guard nodes.count >= minimum else {
            diagnostics.report(location, "\(subject)'\(key)' must not be empty")
            return nil
        }
        var values: [CheckedElement] = []
        var seen: Set<String> = []
        for (index, node) in nodes.enumerated() {
            guard !diagnostics.isFull else { break }
            guard case .scalar(let text, let isPlain) = node.content, !node.isNull else {
                diagnostics.report(
                    node.location,
                    "\(subject)each of '\(key)' must be \(element.expectation), not \(node.found)")
                continue
            }
            switch element.check(text, isPlain: isPlain) {
            case .success(let value):
                guard seen.insert(text).inserted else {
                    diagnostics.report(
                        node.location, "\(subject)\(quoted(text)) is in '\(key)' twice")
                    continue
                }
                values.append(CheckedElement(value: value, location: node.location))
                locations["\(path).\(index)"] = node.location
            case .failure(let problem):
                diagnostics.report(node.location, "\(subject)each of '\(key)' \(problem.clause)")
            }
        }
        return .list(values)
    }
}
