/// One row of `GET /v1/drops`.
package struct DropInfo: APIValue {
    package var port: String
    package var network: String?
    package var reason: String
    package var count: UInt64
    package var sentence: String
    package var remedy: String
    /// What of this port and these frames makes it so; with the line of the topology file, if one did.
    package var cause: String?
    /// `FILE:LINE` of the topology that caused it.
    package var source: String?
    package var firstSecondsAgo: Double?
    package var lastSecondsAgo: Double?
    /// The last frames, each on one line.
    package var frames: [String]?

    package init(
        port: String, network: String? = nil, reason: String, count: UInt64, sentence: String,
        remedy: String, cause: String? = nil, source: String? = nil,
        firstSecondsAgo: Double? = nil, lastSecondsAgo: Double? = nil, frames: [String]? = nil
    ) {
        self.port = port
        self.network = network
        self.reason = reason
        self.count = count
        self.sentence = sentence
        self.remedy = remedy
        self.cause = cause
        self.source = source
        self.firstSecondsAgo = firstSecondsAgo
        self.lastSecondsAgo = lastSecondsAgo
        self.frames = frames
    }

    package enum CodingKeys: String, CodingKey {
        case port
        case network
        case reason
        case count
        case sentence
        case remedy
        case cause
        case source
        case firstSecondsAgo = "first_seconds_ago"
        case lastSecondsAgo = "last_seconds_ago"
        case frames
    }

    package static let schema = APISchema(
        "DropInfo", "Frames dropped at one port, in one network, for one reason.",
        [
            .init("port", .string, "Port at which the frames were dropped."),
            .init("network", .string, optional: true, "Network, when it was known by then."),
            .init("reason", .string, "Name of the reason; stable."),
            .init("count", .integer, "Frames dropped since the start."),
            .init("sentence", .string, "What the reason means."),
            .init("remedy", .string, "What to do about it."),
            .init(
                "cause", .string, optional: true,
                "What of this port and these frames makes it so."),
            .init(
                "source", .string, optional: true,
                "File and line of the topology that caused it."),
            .init(
                "first_seconds_ago", .number, optional: true,
                "Seconds since the first such drop."),
            .init(
                "last_seconds_ago", .number, optional: true, "Seconds since the last such drop."),
            .init("frames", .array(.string), optional: true, "The last frames, in words."),
        ])
}

/// `GET /v1/drops`: only what has been counted at least once.
package struct DropList: APIValue {
    package var drops: [DropInfo]

    package init(drops: [DropInfo]) {
        self.drops = drops
    }

    package enum CodingKeys: String, CodingKey {
        case drops
    }

    package static let schema = APISchema(
        "DropList", "Drops that occurred.",
        [
            .init("drops", .array(.reference("DropInfo")), "The drops, highest count first.")
        ])
}
