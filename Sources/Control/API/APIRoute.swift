import ControlAPI
import Foundation

/// One endpoint: where it is, what it takes and gives, and the call that answers it.
///
/// The table `APIRoute.all` is the only list of endpoints: the server dispatches by it and the
/// OpenAPI document is written from it.
struct APIRoute: Sendable {
    struct Parameter: Sendable {
        let name: String
        let meaning: String
        var isRequired = false
    }

    enum Answer: Sendable {
        /// A JSON object of this schema.
        case json(APISchema)
        /// The OpenAPI document.
        case openAPI
        /// Prometheus text exposition format.
        case metrics
    }

    let method: String
    /// Path with `{name}` where a segment is a parameter.
    let path: String
    let operation: String
    let summary: String
    /// Parameters of the query; any other is refused.
    var query: [Parameter] = []
    /// Shape of the request's body; nil if it takes none.
    var request: APISchema?
    let answer: Answer
    let call: @Sendable (APICall, any SwitchService) throws(ServiceError) -> [UInt8]

    /// Values of the path's parameters if `segments` (already decoded) match, else nil.
    func match(_ segments: [String]) -> [String: String]? {
        let template = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard template.count == segments.count else { return nil }
        var values: [String: String] = [:]
        for (part, segment) in zip(template, segments) {
            if part.hasPrefix("{") {
                guard !segment.isEmpty else { return nil }
                values[String(part.dropFirst().dropLast())] = segment
            } else if part != segment {
                return nil
            }
        }
        return values
    }
}

/// A request that has found its route.
struct APICall: Sendable {
    var path: [String: String]
    var query: [String: String]
    var body: [UInt8]

    /// A path parameter. The route has matched, so it is there.
    func segment(_ name: String) -> String { path[name] ?? "" }

    func required(_ name: String) throws(ServiceError) -> String {
        guard let value = query[name], !value.isEmpty else {
            throw .badRequest(["query parameter '\(name)' is missing: add ?\(name)=…"])
        }
        return value
    }

    /// A whole number in the query.
    func number(_ name: String) throws(ServiceError) -> UInt64? {
        guard let text = query[name] else { return nil }
        guard let value = UInt64(text) else {
            throw .badRequest(["query parameter '\(name)' is no whole number: '\(text)'"])
        }
        return value
    }

    /// Seconds in the query, 0 to `limit`.
    func seconds(_ name: String, upTo limit: Double) throws(ServiceError) -> Double? {
        guard let text = query[name] else { return nil }
        guard let value = Double(text), value >= 0, value <= limit else {
            throw .badRequest([
                "query parameter '\(name)' is '\(text)': give seconds, from 0 to \(Int(limit))"
            ])
        }
        return value
    }

    func eventKind(_ name: String) throws(ServiceError) -> EventKind? {
        guard let text = query[name] else { return nil }
        guard let kind = EventKind(rawValue: text) else {
            let known = EventKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw .badRequest(["there are no events of kind '\(text)'; there are: \(known)"])
        }
        return kind
    }

    /// The body as a value. Unknown fields are errors, because a misspelt filter would widen a
    /// flush to everything.
    func decoded<Value: APIValue>(as type: Value.Type) throws(ServiceError) -> Value {
        let data = Data(body)
        let name = Value.schema.name
        guard !body.isEmpty else {
            throw .badRequest(["the request has no body: send a \(name) as JSON"])
        }
        let object: JSONValue
        do {
            object = try JSONDecoder().decode(JSONValue.self, from: data)
        } catch {
            throw .badRequest(["the body is not JSON: send a \(name) as JSON"])
        }
        guard case .object(let fields) = object else {
            throw .badRequest(["the body is not a JSON object: send a \(name)"])
        }
        let known = Value.schema.fields.map(\.name)
        let unknown = fields.keys.filter { !known.contains($0) }.sorted()
        guard unknown.isEmpty else {
            throw .badRequest(
                unknown.map {
                    "unknown field '\($0)' in \(name): it has \(known.joined(separator: ", "))"
                })
        }
        do {
            return try JSONDecoder().decode(Value.self, from: data)
        } catch let error as DecodingError {
            throw .badRequest([Self.sentence(for: error, in: Value.schema)])
        } catch {
            throw .badRequest(["the body is no \(name): \(error)"])
        }
    }

    private static func sentence(for error: DecodingError, in schema: APISchema) -> String {
        func place(_ path: [any CodingKey], _ last: String? = nil) -> String {
            (path.map(\.stringValue) + (last.map { [$0] } ?? [])).joined(separator: ".")
        }
        func meaning(_ name: String) -> String {
            schema.fields.first { $0.name == name }.map { " (\($0.meaning))" } ?? ""
        }
        switch error {
        case .keyNotFound(let key, let context):
            let name = place(context.codingPath, key.stringValue)
            return "field '\(name)' is missing in \(schema.name)\(meaning(name))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context),
            .dataCorrupted(let context):
            let name = place(context.codingPath)
            return "field '\(name)' in \(schema.name) has a wrong value\(meaning(name))"
        @unknown default:
            return "the body is no \(schema.name)"
        }
    }
}
