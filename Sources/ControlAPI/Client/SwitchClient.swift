/// The daemon's interface as calls: one method per endpoint.
package struct SwitchClient: Sendable {
    package let http: HTTPClient

    package init(http: HTTPClient) {
        self.http = http
    }

    package func version() throws(ClientError) -> VersionInfo {
        try get(HTTPTarget("v1", "version"))
    }

    package func topology() throws(ClientError) -> TopologyInfo {
        try get(HTTPTarget("v1", "topology"))
    }

    package func plan(_ document: TopologyDocument) throws(ClientError) -> PlanResult {
        try post(HTTPTarget("v1", "topology", "plan"), document)
    }

    package func apply(_ document: TopologyDocument) throws(ClientError) -> ApplyResult {
        try post(HTTPTarget("v1", "topology", "apply"), document)
    }

    package func ports() throws(ClientError) -> PortList { try get(HTTPTarget("v1", "ports")) }

    package func port(_ name: String) throws(ClientError) -> PortInfo {
        try get(HTTPTarget("v1", "ports", name))
    }

    package func attachPort(_ request: PortAttachRequest) throws(ClientError) -> PortInfo {
        try post(HTTPTarget("v1", "ports"), request)
    }

    package func detachPort(_ name: String) throws(ClientError) -> Acknowledgement {
        try decode(http.send("DELETE", HTTPTarget("v1", "ports", name).text))
    }

    package func networks() throws(ClientError) -> NetworkList {
        try get(HTTPTarget("v1", "networks"))
    }

    package func network(_ name: String) throws(ClientError) -> NetworkInfo {
        try get(HTTPTarget("v1", "networks", name))
    }

    package func tunnels() throws(ClientError) -> TunnelList {
        try get(HTTPTarget("v1", "tunnels"))
    }

    package func tunnel(_ name: String) throws(ClientError) -> TunnelInfo {
        try get(HTTPTarget("v1", "tunnels", name))
    }

    package func fdb(
        network: String? = nil, port: String? = nil, mac: String? = nil
    ) throws(ClientError) -> FDBList {
        try get(
            HTTPTarget("v1", "fdb").with("network", network).with("port", port).with("mac", mac))
    }

    package func addFDBEntry(_ request: FDBChangeRequest) throws(ClientError) -> FDBEntryInfo {
        try post(HTTPTarget("v1", "fdb"), request)
    }

    package func deleteFDBEntry(
        network: String, mac: String
    ) throws(ClientError) -> FDBFlushResult {
        let target = HTTPTarget("v1", "fdb").with("network", network).with("mac", mac)
        return try decode(http.send("DELETE", target.text))
    }

    package func flushFDB(_ request: FDBFlushRequest) throws(ClientError) -> FDBFlushResult {
        try post(HTTPTarget("v1", "fdb", "flush"), request)
    }

    package func trace(_ request: TraceRequest) throws(ClientError) -> TraceInfo {
        try post(HTTPTarget("v1", "trace"), request)
    }

    package func drops() throws(ClientError) -> DropList { try get(HTTPTarget("v1", "drops")) }

    package func stats() throws(ClientError) -> StatsInfo { try get(HTTPTarget("v1", "stats")) }

    /// Events after number `since`; waits for one up to `wait` seconds, which are 10 at most.
    package func events(
        since: UInt64? = nil, kind: String? = nil, wait: Int? = nil
    ) throws(ClientError) -> EventList {
        try get(
            HTTPTarget("v1", "events").with("since", since.map { "\($0)" }).with("kind", kind)
                .with("wait", wait.map { "\($0)" }))
    }

    package func who(_ query: String) throws(ClientError) -> WhoResult {
        try get(HTTPTarget("v1", "who").with("query", query))
    }

    private func get<Value: APIValue>(_ target: HTTPTarget) throws(ClientError) -> Value {
        try decode(http.send("GET", target.text))
    }

    private func post<Value: APIValue>(
        _ target: HTTPTarget, _ request: some APIValue
    ) throws(ClientError) -> Value {
        let body: [UInt8]
        do {
            body = try request.json()
        } catch {
            throw .malformedReply(path: target.text, reason: "cannot encode the request: \(error)")
        }
        return try decode(http.send("POST", target.text, body: body))
    }

    private func decode<Value: APIValue>(_ reply: HTTPReply) throws(ClientError) -> Value {
        let path = http.path.candidates[0]
        guard (200..<300).contains(reply.status) else {
            if let response = try? ErrorResponse(json: reply.body) {
                throw .refused(status: reply.status, response)
            }
            throw .malformedReply(path: path, reason: "status \(reply.status) without a reason")
        }
        do {
            return try Value(json: reply.body)
        } catch {
            throw .malformedReply(path: path, reason: "its answer is no \(Value.schema.name)")
        }
    }
}
