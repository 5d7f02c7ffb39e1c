/// An IP address of a station, and how the switch knows it.
package struct StationAddress: APIValue {
    package var address: String
    package var source: String
    package var ageSeconds: Double?

    package init(address: String, source: String, ageSeconds: Double? = nil) {
        self.address = address
        self.source = source
        self.ageSeconds = ageSeconds
    }

    package enum CodingKeys: String, CodingKey {
        case address
        case source
        case ageSeconds = "age_seconds"
    }

    package static let schema = APISchema(
        "StationAddress", "An IP address of a station.",
        [
            .init("address", .string, "The IP address."),
            .init(
                "source", .string,
                "How it is known: declared, arp, nd, dhcp or dhcpv6; new ones may come."),
            .init(
                "age_seconds", .number, optional: true,
                "Seconds since the station said so; absent for a declared address."),
        ])
}

/// One row of `GET /v1/who`: a station, which is a MAC address in a network.
package struct StationInfo: APIValue {
    package var network: String
    package var vlan: Int
    package var mac: String?
    package var port: String?
    package var host: String?
    package var tunnel: String?
    package var namespace: String?
    package var hostName: String?
    package var portSinceSeconds: Double?
    package var lastSeenSeconds: Double?
    package var addresses: [StationAddress]
    package var fdb: String?
    package var duplicates: [String]

    package init(
        network: String, vlan: Int, mac: String? = nil, port: String? = nil, host: String? = nil,
        tunnel: String? = nil, namespace: String? = nil, hostName: String? = nil,
        portSinceSeconds: Double? = nil, lastSeenSeconds: Double? = nil,
        addresses: [StationAddress] = [], fdb: String? = nil, duplicates: [String] = []
    ) {
        self.network = network
        self.vlan = vlan
        self.mac = mac
        self.port = port
        self.host = host
        self.tunnel = tunnel
        self.namespace = namespace
        self.hostName = hostName
        self.portSinceSeconds = portSinceSeconds
        self.lastSeenSeconds = lastSeenSeconds
        self.addresses = addresses
        self.fdb = fdb
        self.duplicates = duplicates
    }

    package enum CodingKeys: String, CodingKey {
        case network
        case vlan
        case mac
        case port
        case host
        case tunnel
        case namespace
        case hostName = "host_name"
        case portSinceSeconds = "port_since_seconds"
        case lastSeenSeconds = "last_seen_seconds"
        case addresses
        case fdb
        case duplicates
    }

    package static let schema = APISchema(
        "StationInfo", "A station: one MAC address in one network.",
        [
            .init("network", .string, "Its network."),
            .init("vlan", .integer, "VLAN ID of the network; 0 without one."),
            .init("mac", .string, optional: true, "Its MAC address, if known."),
            .init(
                "port", .string, optional: true,
                "Port that it is behind; of another host's station the port declared there."),
            .init("host", .string, optional: true, "The other host that it is at."),
            .init("tunnel", .string, optional: true, "Tunnel that leads there."),
            .init("namespace", .string, optional: true, "Network namespace of the port's device."),
            .init("host_name", .string, optional: true, "What it calls itself in DHCP."),
            .init(
                "port_since_seconds", .number, optional: true,
                "Seconds since it was first heard behind that port; absent when it never was."),
            .init(
                "last_seen_seconds", .number, optional: true,
                "Seconds since it was last heard."),
            .init("addresses", .array(.reference("StationAddress")), "Its IP addresses."),
            .init(
                "fdb", .string, optional: true,
                "What the forwarding database has of it; absent when it has nothing."),
            .init(
                "duplicates", .array(.string), "Who else claims one of its addresses."),
        ])
}

/// `GET /v1/who`.
package struct WhoResult: APIValue {
    package var query: String
    package var matched: String
    package var stations: [StationInfo]

    package init(query: String, matched: String, stations: [StationInfo]) {
        self.query = query
        self.matched = matched
        self.stations = stations
    }

    package enum CodingKeys: String, CodingKey {
        case query
        case matched
        case stations
    }

    package static let schema = APISchema(
        "WhoResult", "Who is meant by an address or a name.",
        [
            .init("query", .string, "What was asked."),
            .init("matched", .string, "What it was taken for, such as IP address or port."),
            .init("stations", .array(.reference("StationInfo")), "Those who are meant."),
        ])
}
