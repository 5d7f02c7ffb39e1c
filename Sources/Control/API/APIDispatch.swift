import ControlAPI

/// What the server writes back.
struct APIAnswer: Sendable, Equatable {
    var status: Int
    var contentType: String
    var body: [UInt8]
    /// Value of an `Allow` header, for 405.
    var allowed: String?

    static func failure(
        _ status: Int, _ response: ErrorResponse, allowed: String? = nil
    ) -> APIAnswer {
        // An ErrorResponse is two strings deep: encoding it cannot fail.
        let body = (try? response.json()) ?? Array(#"{"details":[],"error":"failed"}"#.utf8)
        return APIAnswer(
            status: status, contentType: "application/json", body: body, allowed: allowed)
    }
}

/// Finds the route of a request and answers it. Pure but for the service; knows no sockets.
struct APIDispatch: Sendable {
    let service: any SwitchService

    /// - Parameters:
    ///   - target: Path and query as the client sent them, still percent-encoded.
    ///   - body: At most `APIServer.maximumBodyByteCount` bytes.
    func answer(method: String, target: String, body: [UInt8]) -> APIAnswer {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = String(parts.first ?? "")
        var segments: [String] = []
        for part in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let segment = Self.decoded(part) else {
                return .failure(
                    400, ErrorResponse(error: "the path is not percent-encoded UTF-8"))
            }
            segments.append(segment)
        }
        var allowed: [String] = []
        for route in APIRoute.all {
            guard let values = route.match(segments) else { continue }
            guard route.method == method else {
                allowed.append(route.method)
                continue
            }
            do throws(ServiceError) {
                let query = try Self.query(parts.count > 1 ? parts[1] : "", of: route)
                if route.request == nil, !body.isEmpty {
                    throw .badRequest(["\(method) \(path) takes no body"])
                }
                let call = APICall(path: values, query: query, body: body)
                return APIAnswer(
                    status: 200, contentType: Self.contentType(route.answer),
                    body: try route.call(call, service))
            } catch {
                return .failure(error.status, error.response)
            }
        }
        if !allowed.isEmpty {
            let list = allowed.joined(separator: ", ")
            return .failure(
                405, ErrorResponse(error: "\(path) does not take \(method): it takes \(list)"),
                allowed: list)
        }
        return .failure(
            404,
            ErrorResponse(error: "there is no \(path) here: GET /v1/openapi.json lists what is"))
    }

    private static func contentType(_ answer: APIRoute.Answer) -> String {
        switch answer {
        case .json, .openAPI: "application/json"
        case .metrics: "text/plain; version=0.0.4; charset=utf-8"
        }
    }

    private static func query(
        _ text: Substring, of route: APIRoute
    ) throws(ServiceError) -> [String: String] {
        var values: [String: String] = [:]
        for item in text.split(separator: "&") {
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decoded(pair[0]),
                let value = decoded(pair.count > 1 ? pair[1] : "")
            else { throw .badRequest(["the query is not percent-encoded UTF-8"]) }
            guard route.query.contains(where: { $0.name == name }) else {
                let known = route.query.map(\.name).joined(separator: ", ")
                throw .badRequest([
                    "unknown query parameter '\(name)': "
                        + (known.isEmpty ? "\(route.path) takes none" : "known are \(known)")
                ])
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw .badRequest(["query parameter '\(name)' is given twice"])
            }
        }
        return values
    }

    /// Percent-decodes; nil if an escape is broken or the result is not UTF-8 or holds a zero.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst(), let low = rest.popFirst(),
                let first = Character(UnicodeScalar(high)).hexDigitValue,
                let second = Character(UnicodeScalar(low)).hexDigitValue
            else { return nil }
            bytes.append(UInt8(first << 4 | second))
        }
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}
