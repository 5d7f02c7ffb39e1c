import Foundation

/// The JSON Schema (draft 2020-12) of topology files, made from the table by which they are
/// decoded. It tells an editor which keys there are, what they mean and what they take; what
/// values mean together (names that must be declared, clashes) only decoding tells.
package enum JSONSchema {
    /// The schema's text, keys sorted, two spaces an indent.
    package static var text: String {
        var root = schema(of: MappingKind.file)
        root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        root["title"] = "Heddle topology"
        guard
            let data = try? JSONSerialization.data(
                withJSONObject: root,
                options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
        else { preconditionFailure("the schema consists of JSON values only") }
        return String(decoding: data, as: UTF8.self) + "\n"
    }

    private static func schema(of mapping: MappingKind) -> [String: Any] {
        var schema: [String: Any] = [
            "type": "object",
            "description": mapping.doc,
            "additionalProperties": false,
            "properties": Dictionary(
                uniqueKeysWithValues: mapping.keys.map { row -> (String, [String: Any]) in
                    var property = self.schema(of: row.kind)
                    property["description"] = row.doc
                    return (row.name, property)
                }),
        ]
        let required = mapping.keys.filter(\.isRequired).map(\.name)
        if !required.isEmpty { schema["required"] = required }
        let groups = mapping.exactlyOne.map { group in
            ["oneOf": group.keys.map { ["required": [$0]] }]
        }
        if !groups.isEmpty { schema["allOf"] = groups }
        if !mapping.atLeastOne.isEmpty {
            schema["anyOf"] = mapping.atLeastOne.map { ["required": [$0]] }
        }
        if !mapping.needs.isEmpty {
            schema["dependentRequired"] = Dictionary(
                uniqueKeysWithValues: mapping.needs.map { ($0.key, [$0.other]) })
        }
        let dependent = mapping.conditions.flatMap { condition in
            condition.keys.map { ($0, self.schema(of: condition)) }
        }
        if !dependent.isEmpty {
            schema["dependentSchemas"] = Dictionary(uniqueKeysWithValues: dependent)
        }
        // A mapping without required keys may be left empty: `blue:`.
        if required.isEmpty, groups.isEmpty, mapping.atLeastOne.isEmpty {
            schema["type"] = ["object", "null"]
        }
        return schema
    }

    private static func schema(of condition: KeyCondition) -> [String: Any] {
        var schema: [String: Any] = [
            "properties": [condition.other: ["enum": condition.values]]
        ]
        if !condition.holdsWithoutOther { schema["required"] = [condition.other] }
        return schema
    }

    private static func schema(of kind: ValueKind) -> [String: Any] {
        switch kind {
        case .integer(let range) where range.count == 1: ["const": range.lowerBound]
        case .integer(let range): integer(range)
        case .seconds(let range):
            ["oneOf": [integer(range), ["type": "string", "pattern": "^[0-9]+s?$"]]]
        case .boolean: ["type": "boolean"]
        case .vlan: integer(1...4094)
        case .name: ["type": "string", "pattern": Name.pattern]
        case .network:
            ["oneOf": [["type": "string", "pattern": Name.pattern], integer(1...4094)]]
        case .deviceName:
            [
                "type": "string", "pattern": Name.pattern,
                "maxLength": DeviceName.byteLimit,
                "not": ["enum": DeviceName.reserved.sorted()],
            ]
        case .mac:
            [
                "type": "string",
                "pattern": "^([0-9A-Fa-f]{2}([:-])([0-9A-Fa-f]{2}\\2){4}[0-9A-Fa-f]{2}"
                    + "|([0-9A-Fa-f]{4}[.]){2}[0-9A-Fa-f]{4})$",
            ]
        case .interfaceAddress:
            ["type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]{1,3}$"]
        case .underlayAddress:
            [
                "type": "string",
                "pattern": "^([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*)$",
            ]
        case .udpEndpoint:
            [
                "type": "string",
                "pattern": "^([0-9]{1,3}([.][0-9]{1,3}){3}|\\[[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*\\])"
                    + ":[0-9]{1,5}$",
            ]
        case .choice(let words): ["enum": words]
        case .glob(ofDeviceNames: true):
            ["type": "string", "pattern": "^[A-Za-z0-9._*?-]+$", "maxLength": Glob.byteLimit]
        case .glob(ofDeviceNames: false):
            [
                "type": "string", "pattern": "^[^\\[\\]{}\\\\\(controls)]+$",
                "maxLength": Glob.byteLimit,
            ]
        case .socketPath:
            ["type": "string", "pattern": "^/[^\(controls)]*$", "maxLength": SocketPath.byteLimit]
        case .account:
            [
                "oneOf": [
                    ["type": "string", "pattern": "^[^\\s:]+$", "maxLength": 255],
                    ["type": "integer", "minimum": 0],
                ]
            ]
        case .permissions: ["type": "string", "pattern": "^0?[0-7]{3}$"]
        case .text(let limit): ["type": "string", "minLength": 1, "maxLength": limit]
        case .list(let element, let minimum):
            [
                "type": "array", "items": schema(of: element), "minItems": minimum,
                "uniqueItems": true,
            ]
        case .mapping(let mapping): schema(of: mapping)
        case .named(let mapping, let limit):
            [
                "type": ["object", "null"],
                "propertyNames": ["pattern": Name.pattern],
                "maxProperties": limit,
                "additionalProperties": schema(of: mapping),
            ]
        case .byNetwork(let element):
            [
                "type": "object", "propertyNames": ["pattern": Name.pattern],
                "additionalProperties": schema(of: element),
            ]
        }
    }

    private static let controls = "\\u0000-\\u001F\\u007F-\\u009F"

    private static func integer(_ range: ClosedRange<Int>) -> [String: Any] {
        ["type": "integer", "minimum": range.lowerBound, "maximum": range.upperBound]
    }
}
