/// A port as observed: an element of `GET /v1/ports`.
package struct PortInfo: APIValue {
    package var name: String
    package var number: Int
    package var origin: PortOrigin
    package var kind: String
    package var device: String?
    package var namespace: String?
    package var socket: String?
    package var peer: String?
    package var template: String?
    package var mode: PortMode
    package var network: String?
    package var trunk: [String]
    package var native: String?
    package var state: PortState
    package var reason: String?
    package var mac: String?
    package var addresses: [String]
    package var mtu: Int
    package var isolated: Bool
    package var offloads: [String]
    package var counters: TrafficCounters

    package init(
        name: String, number: Int, origin: PortOrigin, kind: String, device: String? = nil,
        namespace: String? = nil, socket: String? = nil, peer: String? = nil,
        template: String? = nil, mode: PortMode, network: String? = nil, trunk: [String] = [],
        native: String? = nil, state: PortState, reason: String? = nil, mac: String? = nil,
        addresses: [String] = [], mtu: Int, isolated: Bool, offloads: [String] = [],
        counters: TrafficCounters
    ) {
        self.name = name
        self.number = number
        self.origin = origin
        self.kind = kind
        self.device = device
        self.namespace = namespace
        self.socket = socket
        self.peer = peer
        self.template = template
        self.mode = mode
        self.network = network
        self.trunk = trunk
        self.native = native
        self.state = state
        self.reason = reason
        self.mac = mac
        self.addresses = addresses
        self.mtu = mtu
        self.isolated = isolated
        self.offloads = offloads
        self.counters = counters
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case number
        case origin
        case kind
        case device
        case namespace
        case socket
        case peer
        case template
        case mode
        case network
        case trunk
        case native
        case state
        case reason
        case mac
        case addresses
        case mtu
        case isolated
        case offloads
        case counters
    }

    package static let schema = APISchema(
        "PortInfo", "A port as it is now.",
        [
            .init("name", .string, "Name, unique in the switch."),
            .init("number", .integer, "Number that stays with the name across restarts."),
            .init(
                "origin", .enumeration(["declared", "attached", "discovered"]),
                "How the port came to be; apply plans the declared ones only."),
            .init(
                "kind", .string,
                "Attachment: tap, veth, device, vhost-user, qemu-stream, qemu-dgram, bess, vde or "
                    + "pcap."),
            .init("device", .string, optional: true, "Kernel interface, if it has one."),
            .init(
                "namespace", .string, optional: true,
                "Network namespace of the kernel interface, if not the daemon's."),
            .init("socket", .string, optional: true, "Path of the Unix socket, if it has one."),
            .init(
                "peer", .string, optional: true,
                "Who is at the other end of the socket, and what was agreed."),
            .init(
                "template", .string, optional: true,
                "Of a discovered port: the declared port whose pattern found the device; absent "
                    + "where the device's alias did."),
            .init(
                "mode", .enumeration(["access", "trunk"]),
                "access: one network, untagged; trunk: several, tagged."),
            .init("network", .string, optional: true, "Network of an access port."),
            .init("trunk", .array(.string), "Networks of a trunk; empty for an access port."),
            .init(
                "native", .string, optional: true, "Network that a trunk carries untagged."),
            .init("state", .enumeration(["up", "down"]), "Whether frames can pass."),
            .init(
                "reason", .string, optional: true,
                "Why the port is down, as a sentence; absent when it is up."),
            .init("mac", .string, optional: true, "MAC address of the kernel interface."),
            .init(
                "addresses", .array(.string),
                "IP addresses with prefix length of the kernel interface."),
            .init("mtu", .integer, "IP MTU in bytes."),
            .init(
                "isolated", .boolean, "Whether the port reaches only ports that are not isolated."),
            .init("offloads", .array(.string), "Offloads in force: csum, tso4, tso6, uso4, uso6."),
            .init("counters", .reference("TrafficCounters"), "Traffic of the port."),
        ])
}

/// `GET /v1/ports`.
package struct PortList: APIValue {
    package var ports: [PortInfo]
    package var problems: [String]

    package init(ports: [PortInfo], problems: [String] = []) {
        self.ports = ports
        self.problems = problems
    }

    package enum CodingKeys: String, CodingKey {
        case ports
        case problems
    }

    /// A switch of an earlier version tells no problems.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        ports = try container.decode([PortInfo].self, forKey: .ports)
        problems = try container.decodeIfPresent([String].self, forKey: .problems) ?? []
    }

    package static let schema = APISchema(
        "PortList", "All ports, by name.",
        [
            .init("ports", .array(.reference("PortInfo")), "The ports, sorted by name."),
            .init(
                "problems", .array(.string),
                "Why devices that were meant to be ports are none, a sentence each."),
        ])
}

/// `POST /v1/ports`: what one entry of `ports:` in a topology file says.
package struct PortAttachRequest: APIValue {
    package var name: String
    package var definition: JSONValue

    package init(name: String, definition: JSONValue) {
        self.name = name
        self.definition = definition
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case definition
    }

    package static let schema = APISchema(
        "PortAttachRequest", "A port to add to the running switch.",
        [
            .init("name", .string, "Name, not yet taken."),
            .init(
                "definition", .any,
                "The port, with the keys that it would have in a topology file."),
        ])
}

/// How a port came to be: in the topology file, by `port attach`, or matched by a pattern.
package enum PortOrigin: String, Codable, Sendable, CaseIterable {
    case declared
    case attached
    case discovered
}

/// Whether a port carries one network untagged or several tagged.
package enum PortMode: String, Codable, Sendable, CaseIterable {
    case access
    case trunk
}

/// Whether frames can pass.
package enum PortState: String, Codable, Sendable, CaseIterable {
    case up
    case down
}
