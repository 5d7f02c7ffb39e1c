/// One forwarding database entry: an element of `GET /v1/fdb`.
package struct FDBEntryInfo: APIValue {
    package var network: String
    package var vlan: Int
    package var mac: String
    package var port: String
    package var vtep: String?
    package var kind: FDBEntryKind
    package var ageSeconds: Double?

    package init(
        network: String, vlan: Int, mac: String, port: String, vtep: String? = nil,
        kind: FDBEntryKind, ageSeconds: Double? = nil
    ) {
        self.vtep = vtep
        self.network = network
        self.vlan = vlan
        self.mac = mac
        self.port = port
        self.kind = kind
        self.ageSeconds = ageSeconds
    }

    package enum CodingKeys: String, CodingKey {
        case network
        case vlan
        case mac
        case port
        case vtep
        case kind
        case ageSeconds = "age_seconds"
    }

    package static let schema = APISchema(
        "FDBEntryInfo", "Where a MAC address lives.",
        [
            .init("network", .string, "Network that the address was seen in."),
            .init("vlan", .integer, "VLAN ID of the network."),
            .init("mac", .string, "MAC address, lower case, colons between octets."),
            .init("port", .string, "Port or tunnel that the address lives behind."),
            .init(
                "vtep", .string, optional: true,
                "Underlay address of the host behind the tunnel; absent for a port."),
            .init(
                "kind", .enumeration(["dynamic", "static", "sticky"]),
                "dynamic: learned, ages; static: set by hand; sticky: ages, never moves."),
            .init(
                "age_seconds", .number, optional: true,
                "Seconds since the address was last seen; absent for static entries."),
        ])
}

/// `GET /v1/fdb`.
package struct FDBList: APIValue {
    package var entries: [FDBEntryInfo]

    package init(entries: [FDBEntryInfo]) {
        self.entries = entries
    }

    package enum CodingKeys: String, CodingKey {
        case entries
    }

    package static let schema = APISchema(
        "FDBList", "FDB entries that match the query.",
        [
            .init(
                "entries", .array(.reference("FDBEntryInfo")),
                "The entries, sorted by network and MAC.")
        ])
}

/// `POST /v1/fdb`.
package struct FDBChangeRequest: APIValue {
    package var network: String
    package var mac: String
    package var port: String?
    package var vtep: String?
    package var kind: FDBEntryKind

    package init(
        network: String, mac: String, port: String? = nil, vtep: String? = nil,
        kind: FDBEntryKind
    ) {
        self.vtep = vtep
        self.network = network
        self.mac = mac
        self.port = port
        self.kind = kind
    }

    package enum CodingKeys: String, CodingKey {
        case network
        case mac
        case port
        case vtep
        case kind
    }

    package static let schema = APISchema(
        "FDBChangeRequest", "An entry to add or replace.",
        [
            .init("network", .string, "Name of the network."),
            .init("mac", .string, "Unicast MAC address."),
            .init(
                "port", .string, optional: true, "Port or tunnel that carries the network."),
            .init(
                "vtep", .string, optional: true,
                "Instead of a port, the host behind a tunnel: its name or underlay address."),
            .init("kind", .enumeration(["dynamic", "static", "sticky"]), "static or sticky."),
        ])
}

/// `POST /v1/fdb/flush`. An empty request forgets every dynamic entry.
package struct FDBFlushRequest: APIValue {
    package var network: String?
    package var port: String?
    package var mac: String?

    package init(network: String? = nil, port: String? = nil, mac: String? = nil) {
        self.network = network
        self.port = port
        self.mac = mac
    }

    package enum CodingKeys: String, CodingKey {
        case network
        case port
        case mac
    }

    package static let schema = APISchema(
        "FDBFlushRequest", "Which dynamic entries to forget; every given field narrows the choice.",
        [
            .init("network", .string, optional: true, "Only entries of this network."),
            .init("port", .string, optional: true, "Only entries behind this port."),
            .init("mac", .string, optional: true, "Only entries of this MAC address."),
        ])
}

/// Answer to a flush or delete.
package struct FDBFlushResult: APIValue {
    package var removed: Int

    package init(removed: Int) {
        self.removed = removed
    }

    package enum CodingKeys: String, CodingKey {
        case removed
    }

    package static let schema = APISchema(
        "FDBFlushResult", "What a flush or delete did.",
        [
            .init("removed", .integer, "Number of entries removed.")
        ])
}

/// Learned and ageing; set by hand and moving never; learned once and moving never.
package enum FDBEntryKind: String, Codable, Sendable, CaseIterable {
    case dynamic
    case `static`
    case sticky
}
