import ControlAPI

/// What the control socket offers, one method per endpoint.
///
/// `APIServer` calls it, the controller implements it. Methods are synchronous and are called from
/// several threads at once, none of which belongs to Swift's concurrency pool: an implementation
/// may block (on a netlink answer, on an apply) and does its own locking. Methods that only read
/// should not wait for an apply that is under way.
package protocol SwitchService: Sendable {
    func version() throws(ServiceError) -> VersionInfo

    func topology() throws(ServiceError) -> TopologyInfo
    /// What `applyTopology` would do; changes nothing.
    func planTopology(_ document: TopologyDocument) throws(ServiceError) -> PlanResult
    /// Plans and carries out; on failure everything done is undone and both are said.
    func applyTopology(_ document: TopologyDocument) throws(ServiceError) -> ApplyResult

    func ports() throws(ServiceError) -> PortList
    func port(named name: String) throws(ServiceError) -> PortInfo
    func attachPort(_ request: PortAttachRequest) throws(ServiceError) -> PortInfo
    func detachPort(named name: String) throws(ServiceError) -> Acknowledgement

    func networks() throws(ServiceError) -> NetworkList
    func network(named name: String) throws(ServiceError) -> NetworkInfo

    func tunnels() throws(ServiceError) -> TunnelList
    func tunnel(named name: String) throws(ServiceError) -> TunnelInfo

    /// Entries that match every argument given; MAC addresses come as the client wrote them.
    func fdb(network: String?, port: String?, mac: String?) throws(ServiceError) -> FDBList
    func addFDBEntry(_ request: FDBChangeRequest) throws(ServiceError) -> FDBEntryInfo
    func deleteFDBEntry(network: String, mac: String) throws(ServiceError) -> FDBFlushResult
    func flushFDB(_ request: FDBFlushRequest) throws(ServiceError) -> FDBFlushResult

    /// What would become of a frame; changes nothing.
    func trace(_ request: TraceRequest) throws(ServiceError) -> TraceInfo

    func drops() throws(ServiceError) -> DropList
    func stats() throws(ServiceError) -> StatsInfo

    /// Events after number `since`; `wait` seconds at most until there is one.
    func events(since: UInt64, kind: EventKind?, wait: Double) throws(ServiceError) -> EventList
    /// Events since the start, by kind.
    func eventTotals() throws(ServiceError) -> [EventKind: UInt64]
    /// Who is meant by an address, a MAC address or a name.
    func who(_ query: String) throws(ServiceError) -> WhoResult
}

/// Why a service refuses; each case is one HTTP status.
package enum ServiceError: Error, Equatable {
    /// 400: the request is wrong. Each line says where and what would be right.
    case badRequest([String])
    /// 404: no such port, network or entry.
    case notFound(String)
    /// 409: right in itself, but not now or not here.
    case conflict(String)
    /// 500: the switch tried and failed. The first line says what, the others what was undone.
    case failed([String])

    package var status: Int {
        switch self {
        case .badRequest: 400
        case .notFound: 404
        case .conflict: 409
        case .failed: 500
        }
    }

    /// One finding is the error itself; several are counted and listed.
    package var response: ErrorResponse {
        switch self {
        case .notFound(let sentence), .conflict(let sentence):
            return ErrorResponse(error: sentence)
        case .badRequest(let lines):
            if lines.count == 1 { return ErrorResponse(error: lines[0]) }
            return ErrorResponse(
                error: lines.isEmpty
                    ? "the request is not valid" : "\(lines.count) errors were found",
                details: lines)
        case .failed(let lines):
            return ErrorResponse(
                error: lines.first ?? "the switch failed to do it; its log says more",
                details: Array(lines.dropFirst()))
        }
    }
}
