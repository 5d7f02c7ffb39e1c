/// A YAML value with its place. Aliases share the node they name, so a node may have several
/// parents; `weight` counts as if each had its own copy.
final class YAMLNode {
    enum Content {
        /// `isPlain` tells `10` from `"10"`.
        case scalar(String, isPlain: Bool)
        case list([YAMLNode])
        case mapping([(key: YAMLNode, value: YAMLNode)])
    }

    let content: Content
    let location: SourceLocation
    /// Nodes in this tree, aliases written out.
    let weight: Int
    /// Levels of this tree; a scalar has one.
    let height: Int

    init(_ content: Content, at location: SourceLocation) {
        self.content = content
        self.location = location
        let children: [YAMLNode] =
            switch content {
            case .scalar: []
            case .list(let elements): elements
            case .mapping(let pairs): pairs.flatMap { [$0.key, $0.value] }
            }
        weight = children.reduce(1) { $0 + $1.weight }
        height = 1 + (children.lazy.map(\.height).max() ?? 0)
    }

    /// The text of a scalar.
    var text: String? {
        guard case .scalar(let text, _) = content else { return nil }
        return text
    }

    /// Whether it stands for "nothing given": `key:`, `key: ~` or `key: null`.
    var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return text.isEmpty || text == "~" || text.lowercased() == "null"
    }

    /// What a message calls the value when it is the wrong one.
    var found: String {
        switch content {
        case .scalar(let text, isPlain: _): isNull ? "nothing" : quoted(text)
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }
}
