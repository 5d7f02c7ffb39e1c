import ControlAPI
import Testing

@testable import Control

@Suite("Dispatch of requests")
struct APIDispatchTests {
    struct Row: Sendable {
        let method: String
        let target: String
        let body: String
        let status: Int
        let error: String

        init(_ method: String, _ target: String, _ body: String, _ status: Int, _ error: String) {
            self.method = method
            self.target = target
            self.body = body
            self.status = status
            self.error = error
        }
    }

    static let rows: [Row] = [
        Row("GET", "/", "", 404, "there is no / here"),
        Row("GET", "", "", 404, "there is no "),
        Row("GET", "/v1/nothing", "", 404, "GET /v1/openapi.json lists what is"),
        Row("GET", "/v1/ports/", "", 404, "there is no /v1/ports/ here"),  // an empty name
        Row("GET", "/v1/ports/a/b", "", 404, "there is no"),
        Row("PUT", "/v1/ports", "", 405, "it takes GET, POST"),
        Row("GET", "/v1/ports/%zz", "", 400, "percent-encoded"),  // broken escape
        Row("GET", "/v1/ports/%ff", "", 400, "percent-encoded"),  // not UTF-8
        Row("GET", "/v1/ports/a%00", "", 400, "percent-encoded"),  // a zero byte
        Row("GET", "/v1/ports?x=1", "", 400, "unknown query parameter 'x': /v1/ports takes none"),
        Row("GET", "/v1/fdb?prot=a", "", 400, "known are network, port, mac"),
        Row("GET", "/v1/fdb?mac=a&mac=b", "", 400, "'mac' is given twice"),
        Row("DELETE", "/v1/fdb?network=blue", "", 400, "query parameter 'mac' is missing"),
        Row("GET", "/v1/ports", "{}", 400, "takes no body"),
        Row("POST", "/v1/fdb/flush", "", 400, "has no body: send a FDBFlushRequest"),
        Row("POST", "/v1/fdb/flush", "{", 400, "the body is not JSON"),
        Row("POST", "/v1/fdb/flush", "[]", 400, "not a JSON object"),
        Row("POST", "/v1/fdb/flush", #"{"netwrk":"blue"}"#, 400, "unknown field 'netwrk'"),
        Row("POST", "/v1/fdb/flush", #"{"network":1}"#, 400, "'network' in FDBFlushRequest"),
        Row("POST", "/v1/topology/plan", #"{"name":"x"}"#, 400, "field 'text' is missing"),
        Row(
            "POST", "/v1/fdb",
            #"{"network":"b","mac":"m","port":"p","kind":"eternal"}"#, 400, "static or sticky"),
        Row("GET", "/v1/who", "", 400, "query parameter 'query' is missing"),
        Row("GET", "/v1/events?since=-1", "", 400, "'since' is no whole number: '-1'"),
        Row("GET", "/v1/events?wait=11", "", 400, "give seconds, from 0 to 10"),
        Row("GET", "/v1/events?wait=nan", "", 400, "give seconds, from 0 to 10"),
        Row("GET", "/v1/events?kind=flood", "", 400, "no events of kind 'flood'; there are: port"),
    ]

    @Test("passes on what is asked about events and stations")
    func watchQueries() {
        let service = FakeService()
        let dispatch = APIDispatch(service: service)
        for target in [
            "/v1/events?since=7&kind=loop&wait=2.5", "/v1/events", "/v1/who?query=a%20b",
        ] {
            #expect(dispatch.answer(method: "GET", target: target, body: []).status == 200)
        }
        #expect(service.calls == ["events 7 loop 2.5", "events 0 - 0.0", "who a b"])
    }

    @Test(
        "refuses what is wrong in one clear sentence and does not call the switch",
        arguments: rows)
    func refuses(_ row: Row) throws {
        let service = FakeService()
        let answer = APIDispatch(service: service).answer(
            method: row.method, target: row.target, body: Array(row.body.utf8))
        let response = try ErrorResponse(json: answer.body)
        #expect(answer.status == row.status)
        #expect(response.error.contains(row.error), "\(response.error)")
        #expect(service.calls.isEmpty)
    }

    @Test("never crashes on seeded noise")
    func noise() {
        var random = SplitMix(state: 0x5EED)
        let dispatch = APIDispatch(service: FakeService())
        let alphabet = Array("/v1portsfdb%?&={}\"[]:,0aF.\u{0}é")
        for _ in 0..<20_000 {
            let text = String(
                (0..<random.next() % 24).map { _ in
                    alphabet[Int(random.next() % UInt64(alphabet.count))]
                })
            let method = ["GET", "POST", "DELETE", "", "X"][Int(random.next() % 5)]
            let answer = dispatch.answer(
                method: method, target: random.next() % 2 == 0 ? text : "/v1/fdb/flush?" + text,
                body: Array(text.utf8))
            #expect([200, 400, 404, 405].contains(answer.status))
        }
    }

    @Test("refuses JSON nested a hundred thousand deep")
    func deepJSON() {
        let body = Array(repeating: UInt8(ascii: "["), count: 100_000)
        let answer = APIDispatch(service: FakeService()).answer(
            method: "POST", target: "/v1/fdb/flush", body: body)
        #expect(answer.status == 400)
    }
}

@Suite("The OpenAPI document")
struct OpenAPITests {
    private func object(_ value: JSONValue?) throws -> [String: JSONValue] {
        guard case .object(let object)? = value else {
            Issue.record("an object expected, not \(String(describing: value))")
            return [:]
        }
        return object
    }

    @Test("describes every route")
    func routes() throws {
        let paths = try object(try object(OpenAPI.document)["paths"])
        for route in APIRoute.all {
            let operation = try object(
                try object(paths[route.path])[route.method.lowercased()])
            #expect(operation["operationId"] == .string(route.operation))
        }
        let operations = try paths.values.map { try object($0).count }.reduce(0, +)
        #expect(operations == APIRoute.all.count)
        #expect(Set(APIRoute.all.map(\.operation)).count == APIRoute.all.count)
    }

    @Test("describes every field of every object, and every reference leads somewhere")
    func schemas() throws {
        let components = try object(try object(OpenAPI.document)["components"])
        let schemas = try object(components["schemas"])
        for (value, _) in APIValueTests.golden where !(value is DoctorReport) {
            let schema = type(of: value).schema
            let properties = try object(try object(schemas[schema.name])["properties"])
            #expect(properties.keys.sorted() == schema.fields.map(\.name).sorted())
        }
        let text = String(decoding: OpenAPI.bytes, as: UTF8.self)
        for match in text.matches(of: /#\/components\/schemas\/([A-Za-z]+)/) {
            #expect(schemas[String(match.1)] != nil, "\(match.1)")
        }
    }
}

/// A small seeded generator (SplitMix64, Steele et al. 2014).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
