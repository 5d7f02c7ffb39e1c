import ControlAPI

extension APIRoute {
    /// Every endpoint, in the order of the OpenAPI document.
    static let all: [APIRoute] = [
        APIRoute(
            method: "GET", path: "/v1/version", operation: "getVersion",
            summary: "Who answers at this socket",
            answer: .json(VersionInfo.schema)
        ) { _, service throws(ServiceError) in try encoded(service.version()) },
        APIRoute(
            method: "GET", path: "/v1/openapi.json", operation: "getOpenAPI",
            summary: "This document", answer: .openAPI
        ) { _, _ throws(ServiceError) in OpenAPI.bytes },
        APIRoute(
            method: "GET", path: "/metrics", operation: "getMetrics",
            summary: "Counters in the Prometheus text format", answer: .metrics
        ) { _, service throws(ServiceError) in
            Array(
                Metrics.text(
                    MetricsReading(
                        version: try service.version(), stats: try service.stats(),
                        drops: try service.drops(), networks: try service.networks(),
                        tunnels: try service.tunnels(), events: try service.eventTotals())
                ).utf8)
        },

        APIRoute(
            method: "GET", path: "/v1/topology", operation: "getTopology",
            summary: "The topology in force", answer: .json(TopologyInfo.schema)
        ) { _, service throws(ServiceError) in try encoded(service.topology()) },
        APIRoute(
            method: "POST", path: "/v1/topology/plan", operation: "planTopology",
            summary: "What apply would do; changes nothing",
            request: TopologyDocument.schema, answer: .json(PlanResult.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.planTopology(call.decoded(as: TopologyDocument.self)))
        },
        APIRoute(
            method: "POST", path: "/v1/topology/apply", operation: "applyTopology",
            summary: "Make the switch what the topology says, all or nothing",
            request: TopologyDocument.schema, answer: .json(ApplyResult.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.applyTopology(call.decoded(as: TopologyDocument.self)))
        },

        APIRoute(
            method: "GET", path: "/v1/ports", operation: "listPorts", summary: "All ports",
            answer: .json(PortList.schema)
        ) { _, service throws(ServiceError) in try encoded(service.ports()) },
        APIRoute(
            method: "GET", path: "/v1/ports/{name}", operation: "getPort", summary: "One port",
            answer: .json(PortInfo.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.port(named: call.segment("name")))
        },
        APIRoute(
            method: "POST", path: "/v1/ports", operation: "attachPort",
            summary: "Add a port to the running switch",
            request: PortAttachRequest.schema, answer: .json(PortInfo.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.attachPort(call.decoded(as: PortAttachRequest.self)))
        },
        APIRoute(
            method: "DELETE", path: "/v1/ports/{name}", operation: "detachPort",
            summary: "Remove an attached port", answer: .json(Acknowledgement.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.detachPort(named: call.segment("name")))
        },

        APIRoute(
            method: "GET", path: "/v1/networks", operation: "listNetworks",
            summary: "All networks", answer: .json(NetworkList.schema)
        ) { _, service throws(ServiceError) in try encoded(service.networks()) },
        APIRoute(
            method: "GET", path: "/v1/networks/{name}", operation: "getNetwork",
            summary: "One network", answer: .json(NetworkInfo.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.network(named: call.segment("name")))
        },

        APIRoute(
            method: "GET", path: "/v1/tunnels", operation: "listTunnels",
            summary: "All tunnels to other hosts", answer: .json(TunnelList.schema)
        ) { _, service throws(ServiceError) in try encoded(service.tunnels()) },
        APIRoute(
            method: "GET", path: "/v1/tunnels/{name}", operation: "getTunnel",
            summary: "One tunnel", answer: .json(TunnelInfo.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.tunnel(named: call.segment("name")))
        },

        APIRoute(
            method: "GET", path: "/v1/fdb", operation: "listFDB",
            summary: "Forwarding database entries; every parameter narrows the choice",
            query: [
                Parameter(name: "network", meaning: "Only entries of this network."),
                Parameter(name: "port", meaning: "Only entries behind this port."),
                Parameter(name: "mac", meaning: "Only entries of this MAC address."),
            ],
            answer: .json(FDBList.schema)
        ) { call, service throws(ServiceError) in
            try encoded(
                service.fdb(
                    network: call.query["network"], port: call.query["port"],
                    mac: call.query["mac"]))
        },
        APIRoute(
            method: "POST", path: "/v1/fdb", operation: "addFDBEntry",
            summary: "Add or replace a static or sticky entry",
            request: FDBChangeRequest.schema, answer: .json(FDBEntryInfo.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.addFDBEntry(call.decoded(as: FDBChangeRequest.self)))
        },
        APIRoute(
            method: "DELETE", path: "/v1/fdb", operation: "deleteFDBEntry",
            summary: "Remove one entry of any kind",
            query: [
                Parameter(name: "network", meaning: "Network of the entry.", isRequired: true),
                Parameter(name: "mac", meaning: "MAC address of the entry.", isRequired: true),
            ],
            answer: .json(FDBFlushResult.schema)
        ) { call, service throws(ServiceError) in
            try encoded(
                service.deleteFDBEntry(
                    network: call.required("network"), mac: call.required("mac")))
        },
        APIRoute(
            method: "POST", path: "/v1/fdb/flush", operation: "flushFDB",
            summary: "Forget dynamic entries", request: FDBFlushRequest.schema,
            answer: .json(FDBFlushResult.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.flushFDB(call.decoded(as: FDBFlushRequest.self)))
        },

        APIRoute(
            method: "POST", path: "/v1/trace", operation: "traceFrame",
            summary: "What would become of a frame, and why; changes and sends nothing",
            request: TraceRequest.schema, answer: .json(TraceInfo.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.trace(call.decoded(as: TraceRequest.self)))
        },

        APIRoute(
            method: "GET", path: "/v1/drops", operation: "listDrops",
            summary: "Dropped frames by port, network and reason, with remedies",
            answer: .json(DropList.schema)
        ) { _, service throws(ServiceError) in try encoded(service.drops()) },
        APIRoute(
            method: "GET", path: "/v1/stats", operation: "getStats",
            summary: "The switch in numbers", answer: .json(StatsInfo.schema)
        ) { _, service throws(ServiceError) in try encoded(service.stats()) },

        APIRoute(
            method: "GET", path: "/v1/events", operation: "listEvents",
            summary: "What happened, oldest first; may wait for something to happen",
            query: [
                Parameter(name: "since", meaning: "Only events with a higher number than this."),
                Parameter(name: "kind", meaning: "Only events of this kind."),
                Parameter(
                    name: "wait",
                    meaning: "Seconds to wait, up to 10, when there is no such event yet."),
            ],
            answer: .json(EventList.schema)
        ) { call, service throws(ServiceError) in
            try encoded(
                service.events(
                    since: call.number("since") ?? 0, kind: call.eventKind("kind"),
                    wait: call.seconds("wait", upTo: 10) ?? 0))
        },
        APIRoute(
            method: "GET", path: "/v1/who", operation: "findStations",
            summary: "Who is meant by an address or a name: port, network, host, since when",
            query: [
                Parameter(
                    name: "query",
                    meaning: "An IP address, a MAC address, or the name of a port, a host by DHCP, "
                        + "a namespace or a network.", isRequired: true)
            ],
            answer: .json(WhoResult.schema)
        ) { call, service throws(ServiceError) in
            try encoded(service.who(call.required("query")))
        },
    ]

    private static func encoded(_ value: some APIValue) throws(ServiceError) -> [UInt8] {
        do {
            return try value.json()
        } catch {
            throw .failed(["the answer cannot be written as JSON: \(error)"])
        }
    }
}
