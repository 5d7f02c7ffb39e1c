/// `POST /v1/trace`.
package struct TraceRequest: APIValue {
    package var port: String
    package var frame: String
    package var network: String?

    package init(port: String, frame: String, network: String? = nil) {
        self.port = port
        self.frame = frame
        self.network = network
    }

    package enum CodingKeys: String, CodingKey {
        case port
        case frame
        case network
    }

    package static let schema = APISchema(
        "TraceRequest", "A frame to explain, as if it came from a port; nothing is sent.",
        [
            .init("port", .string, "Port or tunnel that the frame comes from."),
            .init(
                "frame", .string,
                "The frame in hexadecimal, from its destination address on, without FCS."),
            .init(
                "network", .string, optional: true,
                "Of a tunnel that carries several networks, the one that the frame is of."),
        ])
}

/// Answer to `POST /v1/trace`.
package struct TraceInfo: APIValue {
    package var number: Int?
    package var port: String
    package var action: String
    package var verdict: String
    package var reason: String?
    package var sentence: String?
    package var remedy: String?
    package var network: String?
    package var egress: [String]
    package var steps: [TraceStepInfo]

    package init(
        number: Int? = nil, port: String, action: String, verdict: String, reason: String? = nil,
        sentence: String? = nil, remedy: String? = nil, network: String? = nil,
        egress: [String], steps: [TraceStepInfo]
    ) {
        self.number = number
        self.port = port
        self.action = action
        self.verdict = verdict
        self.reason = reason
        self.sentence = sentence
        self.remedy = remedy
        self.network = network
        self.egress = egress
        self.steps = steps
    }

    package enum CodingKeys: String, CodingKey {
        case number
        case port
        case action
        case verdict
        case reason
        case sentence
        case remedy
        case network
        case egress
        case steps
    }

    package static let schema = APISchema(
        "TraceInfo", "What would become of a frame, and why.",
        [
            .init(
                "number", .integer, optional: true,
                "Of a frame from a capture file, its number there, from 1."),
            .init("port", .string, "Port or tunnel that the frame comes from."),
            .init(
                "action", .enumeration(["forwarded", "flooded", "consumed", "dropped"]),
                "How the frame ends."),
            .init("verdict", .string, "How the frame ends, in words."),
            .init("reason", .string, optional: true, "Stable name of the reason for a drop."),
            .init("sentence", .string, optional: true, "The reason in words."),
            .init("remedy", .string, optional: true, "What to do about it."),
            .init(
                "network", .string, optional: true,
                "Network of the frame; absent when it was dropped before it had one."),
            .init("egress", .array(.string), "Ports and tunnels that a copy leaves by."),
            .init("steps", .array(.reference("TraceStepInfo")), "The way there, in order."),
        ])
}

/// One line of an explanation: an element of ``TraceInfo``.
package struct TraceStepInfo: APIValue {
    package var step: String
    package var text: String

    package init(step: String, text: String) {
        self.step = step
        self.text = text
    }

    package enum CodingKeys: String, CodingKey {
        case step
        case text
    }

    package static let schema = APISchema(
        "TraceStepInfo", "One step of a frame through the switch.",
        [
            .init(
                "step",
                .enumeration([
                    "header", "ingress", "network", "learning", "lookup", "copy",
                    "encapsulation", "dropped", "left-out", "verdict", "remedy",
                ]), "What the line is about."),
            .init("text", .string, "The line."),
        ])
}

/// What `heddle trace --pcap` prints as JSON.
package struct TraceList: APIValue {
    package var traces: [TraceInfo]
    package var notShown: Int

    package init(traces: [TraceInfo], notShown: Int) {
        self.traces = traces
        self.notShown = notShown
    }

    package enum CodingKeys: String, CodingKey {
        case traces
        case notShown = "not_shown"
    }

    package static let schema = APISchema(
        "TraceList", "What would become of the frames of a capture file.",
        [
            .init("traces", .array(.reference("TraceInfo")), "One for each frame."),
            .init("not_shown", .integer, "Frames that came in and were more than were asked for."),
        ])
}
