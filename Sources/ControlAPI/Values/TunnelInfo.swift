/// A tunnel as observed: an element of `GET /v1/tunnels`.
package struct TunnelInfo: APIValue {
    package var name: String
    package var number: Int
    package var host: String
    package var kind: String
    package var port: Int?
    package var local: String
    package var remote: String
    package var networks: [String]
    package var state: PortState
    package var reason: String?
    package var device: String?
    package var gateway: String?
    package var neighbour: String?
    package var underlayMTU: Int?
    package var maximumPacket: Int
    package var probe: TunnelProbe
    package var lastHeardSeconds: Double?
    package var counters: TrafficCounters

    package init(
        name: String, number: Int, host: String, kind: String, port: Int?, local: String,
        remote: String, networks: [String], state: PortState, reason: String? = nil,
        device: String? = nil, gateway: String? = nil, neighbour: String? = nil,
        underlayMTU: Int? = nil, maximumPacket: Int, probe: TunnelProbe,
        lastHeardSeconds: Double? = nil, counters: TrafficCounters
    ) {
        self.name = name
        self.number = number
        self.host = host
        self.kind = kind
        self.port = port
        self.local = local
        self.remote = remote
        self.networks = networks
        self.state = state
        self.reason = reason
        self.device = device
        self.gateway = gateway
        self.neighbour = neighbour
        self.underlayMTU = underlayMTU
        self.maximumPacket = maximumPacket
        self.probe = probe
        self.lastHeardSeconds = lastHeardSeconds
        self.counters = counters
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case number
        case host
        case kind
        case port
        case local
        case remote
        case networks
        case state
        case reason
        case device
        case gateway
        case neighbour
        case underlayMTU = "underlay_mtu"
        case maximumPacket = "maximum_packet"
        case probe
        case lastHeardSeconds = "last_heard_seconds"
        case counters
    }

    package static let schema = APISchema(
        "TunnelInfo", "The way to another host in one encapsulation, as it is now.",
        [
            .init("name", .string, "Encapsulation and host, such as vxlan:beta."),
            .init("number", .integer, "Number that stays with the name across restarts."),
            .init("host", .string, "The other host, as the topology calls it."),
            .init("kind", .enumeration(["vxlan", "geneve", "gre", "nvgre"]), "Encapsulation."),
            .init("port", .integer, optional: true, "UDP port, of an encapsulation that has one."),
            .init("local", .string, "This host's underlay address."),
            .init("remote", .string, "The other host's underlay address."),
            .init("networks", .array(.string), "Networks that the tunnel carries."),
            .init("state", .enumeration(["up", "down"]), "Whether frames can be sent."),
            .init(
                "reason", .string, optional: true,
                "Why the tunnel is down, as a sentence; absent when it is up."),
            .init(
                "device", .string, optional: true, "Interface that the route leaves by."),
            .init("gateway", .string, optional: true, "Next hop, if it is not the other host."),
            .init(
                "neighbour", .string, optional: true,
                "What the kernel thinks of the next hop: reachable, stale, failed, …"),
            .init("underlay_mtu", .integer, optional: true, "MTU of the path, in bytes."),
            .init(
                "maximum_packet", .integer,
                "Largest IP packet of a network that fits: its 'mtu' should not be more."),
            .init(
                "probe", .enumeration(["off", "unprobed", "up", "down"]),
                "off: none are sent; unprobed: the other end never answered one, which is no "
                    + "fault; up, down: what its answers say."),
            .init(
                "last_heard_seconds", .number, optional: true,
                "Seconds since anything came from the other end; absent when nothing ever did."),
            .init("counters", .reference("TrafficCounters"), "Traffic of the tunnel."),
        ])
}

/// `GET /v1/tunnels`.
package struct TunnelList: APIValue {
    package var tunnels: [TunnelInfo]

    package init(tunnels: [TunnelInfo]) {
        self.tunnels = tunnels
    }

    package enum CodingKeys: String, CodingKey {
        case tunnels
    }

    package static let schema = APISchema(
        "TunnelList", "All tunnels, in the topology's order of hosts.",
        [.init("tunnels", .array(.reference("TunnelInfo")), "The tunnels.")])
}

/// What is known of the other end by probing it.
package enum TunnelProbe: String, Codable, Sendable, CaseIterable {
    case off
    case unprobed
    case up
    case down
}
