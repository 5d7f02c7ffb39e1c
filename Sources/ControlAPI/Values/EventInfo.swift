/// What an event tells of. The names are stable.
package enum EventKind: String, CaseIterable, Sendable {
    case portUp = "port-up"
    case portDown = "port-down"
    case portAttached = "port-attached"
    case portDetached = "port-detached"
    case tunnelUp = "tunnel-up"
    case tunnelDown = "tunnel-down"
    case apply
    case rollback
    case macMove = "mac-move"
    case macStorm = "mac-storm"
    case loop
    case duplicateAddress = "duplicate-address"
    case portHeld = "port-held"
    case portReleased = "port-released"
    case dropSpike = "drop-spike"
    case fdbFull = "fdb-full"
}

/// How much an event asks of its reader.
package enum EventSeverity: String, Codable, CaseIterable, Sendable {
    /// As it should be.
    case notice
    /// Somebody's traffic may suffer.
    case warning
    /// Somebody's traffic suffers.
    case error
}

/// One row of `GET /v1/events`.
package struct EventInfo: APIValue {
    package var number: UInt64
    package var time: String
    package var kind: String
    package var severity: EventSeverity
    package var count: Int
    package var firstTime: String
    package var port: String?
    package var otherPort: String?
    package var network: String?
    package var tunnel: String?
    package var sentence: String
    package var remedy: String?
    /// The frozen copy of the flight recorder that shows the seconds before it.
    package var recording: Int?

    package init(
        number: UInt64, time: String, kind: String, severity: EventSeverity, count: Int = 1,
        firstTime: String, port: String? = nil, otherPort: String? = nil, network: String? = nil,
        tunnel: String? = nil, sentence: String, remedy: String? = nil, recording: Int? = nil
    ) {
        self.number = number
        self.time = time
        self.kind = kind
        self.severity = severity
        self.count = count
        self.firstTime = firstTime
        self.port = port
        self.otherPort = otherPort
        self.network = network
        self.tunnel = tunnel
        self.sentence = sentence
        self.remedy = remedy
        self.recording = recording
    }

    package enum CodingKeys: String, CodingKey {
        case number
        case time
        case kind
        case severity
        case count
        case firstTime = "first_time"
        case port
        case otherPort = "other_port"
        case network
        case tunnel
        case sentence
        case remedy
        case recording
    }

    package static let schema = APISchema(
        "EventInfo", "Something that happened to the switch.",
        [
            .init("number", .integer, "Place in the order of events; it only grows."),
            .init("time", .string, "When it happened last: RFC 3339, UTC, milliseconds."),
            .init("kind", .string, "What happened; the names are stable, new ones may come."),
            .init(
                "severity", .enumeration(EventSeverity.allCases.map(\.rawValue)),
                "notice: as it should be; warning: traffic may suffer; error: it does."),
            .init(
                "count", .integer,
                "How often it happened; an event that repeats gets a new number."),
            .init("first_time", .string, "When it happened first; equal to time unless repeated."),
            .init("port", .string, optional: true, "Port that it is about."),
            .init("other_port", .string, optional: true, "The other port, where two take part."),
            .init("network", .string, optional: true, "Network that it is about."),
            .init("tunnel", .string, optional: true, "Tunnel that it is about."),
            .init("sentence", .string, "What happened."),
            .init("remedy", .string, optional: true, "What to do about it."),
            .init(
                "recording", .integer, optional: true,
                "Number of the recording that has the frames of the seconds before it."),
        ])
}

/// `GET /v1/events`.
package struct EventList: APIValue {
    package var events: [EventInfo]
    package var last: UInt64

    package init(events: [EventInfo], last: UInt64) {
        self.events = events
        self.last = last
    }

    package enum CodingKeys: String, CodingKey {
        case events
        case last
    }

    package static let schema = APISchema(
        "EventList", "What happened, oldest first.",
        [
            .init("events", .array(.reference("EventInfo")), "The events, by number."),
            .init(
                "last", .integer,
                "Number of the newest event there is; pass it as since to ask for later ones."),
        ])
}
