/// One row of `GET /v1/drops`.
package struct DropInfo: APIValue {
    package var port: String
    package var network: String?
    package var reason: String
    package var count: UInt64
    package var sentence: String
    package var remedy: String

    package init(
        port: String, network: String? = nil, reason: String, count: UInt64, sentence: String,
        remedy: String
    ) {
        self.port = port
        self.network = network
        self.reason = reason
        self.count = count
        self.sentence = sentence
        self.remedy = remedy
    }

    package enum CodingKeys: String, CodingKey {
        case port
        case network
        case reason
        case count
        case sentence
        case remedy
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
