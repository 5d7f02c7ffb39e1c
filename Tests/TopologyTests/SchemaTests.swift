import Foundation
import Testing

@testable import Topology

/// As much of JSON Schema as the generated schema uses; an unknown keyword fails the test.
private struct SchemaChecker {
    private static let annotations: Set<String> = ["$schema", "title", "description"]

    /// The node as JSON: plain scalars by YAML's core schema.
    static func json(_ node: YAMLNode) -> Any {
        switch node.content {
        case .list(let elements): return elements.map { json($0) }
        case .mapping(let pairs):
            return Dictionary(
                pairs.map { ($0.key.text ?? "[]", json($0.value)) },
                uniquingKeysWith: { first, _ in first })
        case .scalar(let text, let isPlain):
            if node.isNull { return NSNull() }
            if isPlain, text == "true" || text == "false" { return text == "true" }
            if isPlain, let number = Int(text) { return number }
            return text
        }
    }

    static func accepts(_ value: Any, _ schema: [String: Any]) throws -> Bool {
        for (keyword, rule) in schema where !annotations.contains(keyword) {
            if keyword == "additionalProperties" { continue }
            guard try accepts(value, keyword, rule, schema) else { return false }
        }
        guard let object = value as? [String: Any] else { return true }
        let properties = schema["properties"] as? [String: [String: Any]] ?? [:]
        for (key, value) in object where properties[key] == nil {
            switch schema["additionalProperties"] {
            case let schema as [String: Any]:
                if try !accepts(value, schema) { return false }
            case let isAllowed as Bool: if !isAllowed { return false }
            default: break
            }
        }
        return true
    }

    private static func accepts(
        _ value: Any, _ keyword: String, _ rule: Any, _ schema: [String: Any]
    ) throws -> Bool {
        let text = value as? String
        let number = value is Bool ? nil : value as? Int
        let object = value as? [String: Any]
        let list = value as? [Any]
        let schemas = rule as? [[String: Any]] ?? []
        switch keyword {
        case "type":
            let names = try rule as? [String] ?? [#require(rule as? String)]
            let actual =
                value is NSNull
                ? "null"
                : value is Bool
                    ? "boolean"
                    : number != nil
                        ? "integer" : text != nil ? "string" : list != nil ? "array" : "object"
            return names.contains(actual)
        case "const": return number == rule as? Int
        case "minimum": return try number ?? .max >= #require(rule as? Int)
        case "maximum": return try number ?? .min <= #require(rule as? Int)
        case "pattern":
            let pattern = try Regex(#require(rule as? String))
            return text.map { $0.firstMatch(of: pattern) != nil } ?? true
        case "minLength": return try text?.count ?? .max >= #require(rule as? Int)
        case "maxLength": return try text?.count ?? 0 <= #require(rule as? Int)
        case "enum": return (rule as? [String] ?? []).contains(text ?? "")
        case "not": return try !accepts(value, #require(rule as? [String: Any]))
        case "oneOf": return try schemas.filter { try accepts(value, $0) }.count == 1
        case "anyOf": return try schemas.contains(where: { try accepts(value, $0) })
        case "allOf": return try schemas.allSatisfy { try accepts(value, $0) }
        case "required":
            return (rule as? [String] ?? []).allSatisfy { object?[$0] != nil } || object == nil
        case "dependentRequired":
            return (rule as? [String: [String]] ?? [:]).allSatisfy { key, others in
                object?[key] == nil || others.allSatisfy { object?[$0] != nil }
            }
        case "dependentSchemas":
            return try (rule as? [String: [String: Any]] ?? [:]).allSatisfy { key, schema in
                try object?[key] == nil || accepts(value, schema)
            }
        case "properties":
            return try (rule as? [String: [String: Any]] ?? [:]).allSatisfy { key, schema in
                try object?[key].map({ try accepts($0, schema) }) ?? true
            }
        case "propertyNames":
            let schema = try #require(rule as? [String: Any])
            return try (object ?? [:]).keys.allSatisfy { try accepts($0, schema) }
        case "maxProperties": return try object?.count ?? 0 <= #require(rule as? Int)
        case "items":
            let schema = try #require(rule as? [String: Any])
            return try (list ?? []).allSatisfy { try accepts($0, schema) }
        case "minItems": return try list?.count ?? .max >= #require(rule as? Int)
        case "uniqueItems":
            return Set((list ?? []).map { "\($0)" }).count == (list ?? []).count
        default:
            Issue.record("keyword '\(keyword)' is not checked")
            return false
        }
    }
}

@Suite("The JSON Schema")
struct SchemaTests {
    private let schema: [String: Any]

    init() throws {
        let object = try JSONSerialization.jsonObject(with: Data(JSONSchema.text.utf8))
        schema = try #require(object as? [String: Any])
    }

    private func accepts(_ text: String) throws -> Bool? {
        var diagnostics = Diagnostics()
        guard let root = YAMLTree.parse(Array(text.utf8), diagnostics: &diagnostics),
            diagnostics.problems.isEmpty
        else { return nil }
        return try SchemaChecker.accepts(SchemaChecker.json(root), schema)
    }

    @Test("accepts the examples", arguments: Examples.names)
    func examples(_ name: String) throws {
        let text = try String(decoding: Examples.bytes(name), as: UTF8.self)
        #expect(try accepts(text) == true)
    }

    @Test("accepts whatever the decoder accepts", arguments: 0..<100 as Range<UInt64>)
    func generated(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        #expect(try accepts(Topology.random(using: &generator).yaml) == true)
    }

    /// What only decoding can tell: names, clashes, and what an address means.
    private static let meanings = [
        "is not declared", "already (line", "belongs to", "not one of the trunk's", "twice",
        "cannot carry", "is another one", "digits only", "group address", "one host",
        "text on one line, up to 255", "has no VNI", "has no network", "'host' is missing",
        "an address by which", "cannot reach", "reserves VNI", "has no ports", "carries vxlan",
        "contradicts", "cannot be told apart", "is the underlay of",
        "takes every device", "live at one port", "is a directory", "with vde, whose socket",
        "is where this port receives",
    ]

    @Test(
        "refuses every form that the decoder refuses",
        arguments: BadFile.all + BadFile.overlay + BadFile.attachments)
    func badForms(_ file: BadFile) throws {
        guard let isAccepted = try accepts(file.text) else { return }
        let isMeaning = Self.meanings.contains { file.line.contains($0) }
        #expect(isAccepted == isMeaning || file.line.contains("is in 'trunk' twice"))
    }

    @Test("describes every key")
    func documented() throws {
        let properties = try #require(schema["properties"] as? [String: [String: Any]])
        #expect(
            properties.keys.sorted() == [
                "heddle", "hosts", "networks", "overlay", "ports", "switch",
            ])
        let ports = try #require(properties["ports"]?["additionalProperties"] as? [String: Any])
        let keys = try #require(ports["properties"] as? [String: [String: Any]])
        #expect(Set(keys.keys) == Set(MappingKind.port.keys.map(\.name)))
        #expect(keys.values.allSatisfy { $0["description"] is String })
    }
}
