import Foundation

/// What a client sends over the data socket, the SEQPACKET socket beside the HTTP one.
///
/// One message is one JSON object. `namespace` is answered by a `DataReply` that carries three
/// descriptors (user, mount, network namespace, in this order). `capture` is answered by a
/// `DataReply` and then by messages of whole pcapng blocks until the daemon closes; `stop` asks it
/// to send the last blocks and close. `lease` is answered by a `DataReply`; the port goes when the
/// connection does. `nic` is answered by a `DataReply` with the descriptor of a TAP device.
package enum DataRequest: Codable, Sendable, Equatable {
    case namespace(name: String)
    case capture(CaptureRequest)
    case stop
    /// A port for as long as the client stays.
    case lease(port: PortAttachRequest)
    /// A network card for a hypervisor: a TAP device on a network, which lives as long as its
    /// descriptor does.
    ///
    /// - Parameter hasHeader: whether each frame has a virtio-net header before it.
    case nic(network: String, hasHeader: Bool)

    /// Suffix of the data socket's path after that of the HTTP socket.
    package static let pathSuffix = ".data"

    /// Suffix of the path of the socket on which a group may ask for `nic`, and for nothing else.
    package static let nicPathSuffix = ".nic"

    /// Stands for the namespace that the switch itself is in, whose name cannot be this one.
    package static let ownNamespace = "-"

    private enum Name: String, Codable { case namespace, capture, stop, lease, nic }
    private enum CodingKeys: String, CodingKey { case request, name, port, network, hasHeader }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch try container.decode(Name.self, forKey: .request) {
        case .namespace: self = .namespace(name: try container.decode(String.self, forKey: .name))
        case .capture: self = .capture(try CaptureRequest(from: decoder))
        case .stop: self = .stop
        case .lease:
            self = .lease(port: try container.decode(PortAttachRequest.self, forKey: .port))
        case .nic:
            self = .nic(
                network: try container.decode(String.self, forKey: .network),
                hasHeader: try container.decode(Bool.self, forKey: .hasHeader))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .namespace(let name):
            try container.encode(Name.namespace, forKey: .request)
            try container.encode(name, forKey: .name)
        case .capture(let capture):
            try container.encode(Name.capture, forKey: .request)
            try capture.encode(to: encoder)
        case .stop:
            try container.encode(Name.stop, forKey: .request)
        case .lease(let port):
            try container.encode(Name.lease, forKey: .request)
            try container.encode(port, forKey: .port)
        case .nic(let network, let hasHeader):
            try container.encode(Name.nic, forKey: .request)
            try container.encode(network, forKey: .network)
            try container.encode(hasHeader, forKey: .hasHeader)
        }
    }

    package func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self))
    }

    package init(json: [UInt8]) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(json))
    }
}

/// Which frames to capture.
package struct CaptureRequest: Codable, Sendable, Equatable {
    package enum Direction: String, Codable, Sendable, CaseIterable {
        /// From the port into the switch.
        case ingress
        /// From the switch out of the port.
        case egress
        case both
    }

    /// How frames are shown.
    package enum View: String, Codable, Sendable, CaseIterable {
        /// As they passed the switch: checksums may be left to do, packets may be larger than any
        /// wire takes.
        case seen
        /// As a wire would carry them.
        case wire
    }

    /// Names of ports and tunnels; empty means every one.
    package var ports: [String]
    /// Names of networks: only frames of these.
    package var networks: [String]
    package var direction: Direction
    /// Only frames that were dropped.
    package var drops: Bool
    /// Names of drop reasons; empty means all of them.
    package var reasons: [String]
    /// A filter in libpcap's language; empty lets everything pass.
    package var filter: String
    /// Bytes kept of each frame.
    package var snaplen: Int
    /// Frames after which the capture ends; 0 is no limit.
    package var count: Int
    package var view: View
    /// Tunnels show their packets with the headers of the underlay.
    package var outer: Bool
    /// The last so many seconds, from the flight recorder, instead of what comes.
    package var since: Double?
    /// A recording that an event made, by number, instead of what comes.
    package var recording: Int?

    package init(
        ports: [String], networks: [String] = [], direction: Direction = .both,
        drops: Bool = false, reasons: [String] = [], filter: String = "", snaplen: Int = 262_144,
        count: Int = 0, view: View = .seen, outer: Bool = false, since: Double? = nil,
        recording: Int? = nil
    ) {
        self.ports = ports
        self.networks = networks
        self.direction = direction
        self.drops = drops
        self.reasons = reasons
        self.filter = filter
        self.snaplen = snaplen
        self.count = count
        self.view = view
        self.outer = outer
        self.since = since
        self.recording = recording
    }

    private enum CodingKeys: String, CodingKey {
        case ports, networks, direction, drops, reasons, filter, snaplen, count, view, outer, since
        case recording
    }

    /// A client older than a field does not send it.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        ports = try container.decode([String].self, forKey: .ports)
        networks = try container.decodeIfPresent([String].self, forKey: .networks) ?? []
        direction = try container.decode(Direction.self, forKey: .direction)
        drops = try container.decodeIfPresent(Bool.self, forKey: .drops) ?? false
        reasons = try container.decodeIfPresent([String].self, forKey: .reasons) ?? []
        filter = try container.decode(String.self, forKey: .filter)
        snaplen = try container.decode(Int.self, forKey: .snaplen)
        count = try container.decode(Int.self, forKey: .count)
        view = try container.decodeIfPresent(View.self, forKey: .view) ?? .seen
        outer = try container.decodeIfPresent(Bool.self, forKey: .outer) ?? false
        since = try container.decodeIfPresent(Double.self, forKey: .since)
        recording = try container.decodeIfPresent(Int.self, forKey: .recording)
    }
}

/// The daemon's answer to a `DataRequest`.
package struct DataReply: Codable, Sendable, Equatable {
    package var ok: Bool
    /// Why not, as a sentence; absent when `ok`.
    package var error: String?

    package init(ok: Bool, error: String? = nil) {
        self.ok = ok
        self.error = error
    }

    package func json() throws -> [UInt8] { Array(try JSONEncoder().encode(self)) }

    package init(json: [UInt8]) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(json))
    }
}
