/// A network as observed: an element of `GET /v1/networks`.
package struct NetworkInfo: APIValue {
    package var name: String
    package var vlan: Int
    package var mtu: Int
    package var ports: [String]
    package var fdbEntries: Int
    package var counters: TrafficCounters

    package init(
        name: String, vlan: Int, mtu: Int, ports: [String], fdbEntries: Int,
        counters: TrafficCounters
    ) {
        self.name = name
        self.vlan = vlan
        self.mtu = mtu
        self.ports = ports
        self.fdbEntries = fdbEntries
        self.counters = counters
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case vlan
        case mtu
        case ports
        case fdbEntries = "fdb_entries"
        case counters
    }

    package static let schema = APISchema(
        "NetworkInfo", "A network as it is now.",
        [
            .init("name", .string, "Name, unique in the switch."),
            .init(
                "vlan", .integer,
                "VLAN ID on trunks; 0 when the network has none."),
            .init("mtu", .integer, "IP MTU in bytes."),
            .init("ports", .array(.string), "Ports that carry the network, sorted by name."),
            .init("fdb_entries", .integer, "Number of FDB entries."),
            .init("counters", .reference("TrafficCounters"), "Traffic of the network."),
        ])
}

/// `GET /v1/networks`.
package struct NetworkList: APIValue {
    package var networks: [NetworkInfo]

    package init(networks: [NetworkInfo]) {
        self.networks = networks
    }

    package enum CodingKeys: String, CodingKey {
        case networks
    }

    package static let schema = APISchema(
        "NetworkList", "All networks, by name.",
        [
            .init("networks", .array(.reference("NetworkInfo")), "The networks, sorted by name.")
        ])
}
