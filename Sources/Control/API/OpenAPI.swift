import ControlAPI

/// The OpenAPI 3.1 document, written from the routes and schemas that the server works by.
enum OpenAPI {
    /// The document as JSON text. Made once.
    static let bytes: [UInt8] = Array(((try? document.text(pretty: true)) ?? "{}").utf8)

    static var document: JSONValue {
        var paths: [String: JSONValue] = [:]
        for route in APIRoute.all {
            var item: [String: JSONValue] = [:]
            if case .object(let known)? = paths[route.path] { item = known }
            item[route.method.lowercased()] = operation(route)
            paths[route.path] = .object(item)
        }
        var schemas: [String: JSONValue] = [:]
        for schema in APISchema.all { schemas[schema.name] = object(schema) }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Heddle",
                "version": "1",
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
                "description": .string(
                    "Control interface of the Heddle software switch, served over a Unix socket. "
                        + "Fields are only ever added; a field that does not apply is absent. "
                        + "Unknown fields and query parameters of a request are refused."),
            ],
            "servers": [
                [
                    "url": "http://heddle",
                    "description":
                        .string(
                            "Any host name will do: curl --unix-socket "
                                + "\(SocketPath.system) http://heddle/v1/version"),
                ]
            ],
            "paths": .object(paths),
            "components": ["schemas": .object(schemas)],
        ]
    }

    private static func operation(_ route: APIRoute) -> JSONValue {
        var result: [String: JSONValue] = [
            "operationId": .string(route.operation), "summary": .string(route.summary),
        ]
        let inPath = route.path.split(separator: "/").filter { $0.hasPrefix("{") }.map {
            parameter(String($0.dropFirst().dropLast()), "path", "Its name.", isRequired: true)
        }
        let inQuery = route.query.map {
            parameter($0.name, "query", $0.meaning, isRequired: $0.isRequired)
        }
        if !(inPath + inQuery).isEmpty { result["parameters"] = .array(inPath + inQuery) }
        if let request = route.request {
            result["requestBody"] = [
                "required": true,
                "content": ["application/json": ["schema": reference(request.name)]],
            ]
        }
        result["responses"] = ["200": success(route.answer), "default": failure]
        return .object(result)
    }

    private static func success(_ answer: APIRoute.Answer) -> JSONValue {
        switch answer {
        case .json(let schema):
            return [
                "description": .string(schema.meaning),
                "content": ["application/json": ["schema": reference(schema.name)]],
            ]
        case .openAPI:
            return [
                "description": "The OpenAPI document.",
                "content": ["application/json": ["schema": ["type": "object"]]],
            ]
        case .metrics:
            return [
                "description": "Prometheus text exposition format, version 0.0.4.",
                "content": ["text/plain": ["schema": ["type": "string"]]],
            ]
        }
    }

    private static var failure: JSONValue {
        [
            "description": .string(
                "400: the request is wrong; 404: no such thing; 405: wrong method; 409: not now; "
                    + "413: too large; 500: the switch failed and undid what it had done."),
            "content": ["application/json": ["schema": reference(ErrorResponse.schema.name)]],
        ]
    }

    private static func parameter(
        _ name: String, _ place: String, _ meaning: String, isRequired: Bool
    ) -> JSONValue {
        [
            "name": .string(name), "in": .string(place), "description": .string(meaning),
            "required": .boolean(isRequired), "schema": ["type": "string"],
        ]
    }

    private static func object(_ schema: APISchema) -> JSONValue {
        var properties: [String: JSONValue] = [:]
        for field in schema.fields {
            // Beside a $ref, OpenAPI 3.1 (JSON Schema 2020-12) allows a description.
            guard case .object(var type) = kind(field.kind) else { continue }
            type["description"] = .string(field.meaning)
            properties[field.name] = .object(type)
        }
        return [
            "type": "object",
            "description": .string(schema.meaning),
            "properties": .object(properties),
            "required": .array(
                schema.fields.filter { !$0.isOptional }.map { .string($0.name) }),
        ]
    }

    private static func kind(_ kind: APISchema.Kind) -> JSONValue {
        switch kind {
        case .string: ["type": "string"]
        case .integer: ["type": "integer", "minimum": 0]
        case .number: ["type": "number", "minimum": 0]
        case .boolean: ["type": "boolean"]
        case .any: [:]
        case .enumeration(let values):
            ["type": "string", "enum": .array(values.map { .string($0) })]
        case .array(let element): ["type": "array", "items": Self.kind(element)]
        case .reference(let name): reference(name)
        }
    }

    private static func reference(_ name: String) -> JSONValue {
        ["$ref": .string("#/components/schemas/\(name)")]
    }
}
