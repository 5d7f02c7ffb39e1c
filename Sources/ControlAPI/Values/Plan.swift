/// `POST /v1/topology/plan` and `POST /v1/topology/apply`.
package struct TopologyDocument: APIValue {
    package var name: String
    package var text: String

    package init(name: String, text: String) {
        self.name = name
        self.text = text
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case text
    }

    package static let schema = APISchema(
        "TopologyDocument", "A topology file, as its author wrote it.",
        [
            .init("name", .string, "File name, for messages only; the daemon opens no file."),
            .init("text", .string, "The YAML text."),
        ])
}

/// `GET /v1/topology`.
package struct TopologyInfo: APIValue {
    package var name: String
    package var text: String
    package var topology: JSONValue

    package init(name: String, text: String, topology: JSONValue) {
        self.name = name
        self.text = text
        self.topology = topology
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case text
        case topology
    }

    package static let schema = APISchema(
        "TopologyInfo", "The topology in force.",
        [
            .init("name", .string, "Name of the file that it came from."),
            .init("text", .string, "The topology as YAML."),
            .init("topology", .any, "The same as JSON."),
        ])
}

/// One line of a plan.
package struct PlanChange: APIValue {
    package var symbol: String
    package var subject: String
    package var text: String

    package init(symbol: String, subject: String, text: String) {
        self.symbol = symbol
        self.subject = subject
        self.text = text
    }

    package enum CodingKeys: String, CodingKey {
        case symbol
        case subject
        case text
    }

    package static let schema = APISchema(
        "PlanChange", "One change that apply would make.",
        [
            .init("symbol", .string, "+ is created, - is removed, ~ is changed."),
            .init("subject", .string, "What changes: port web-1, network blue."),
            .init("text", .string, "How it changes."),
        ])
}

/// Answer to `POST /v1/topology/plan`.
package struct PlanResult: APIValue {
    package var changes: [PlanChange]
    /// Nil when there are none.
    package var notes: [String]?
    package var summary: String
    package var isEmpty: Bool

    package init(
        changes: [PlanChange], notes: [String]? = nil, summary: String, isEmpty: Bool
    ) {
        self.changes = changes
        self.notes = notes
        self.summary = summary
        self.isEmpty = isEmpty
    }

    package enum CodingKeys: String, CodingKey {
        case changes
        case notes
        case summary
        case isEmpty = "is_empty"
    }

    package static let schema = APISchema(
        "PlanResult", "What apply would do.",
        [
            .init(
                "changes", .array(.reference("PlanChange")),
                "The changes, in the order in which they would be made."),
            .init(
                "notes", .array(.string), optional: true,
                "What the topology's author may not have meant, such as an MTU that does not fit."),
            .init("summary", .string, "The changes counted, as one sentence."),
            .init("is_empty", .boolean, "Whether nothing would change."),
        ])
}

/// Answer to `POST /v1/topology/apply`.
package struct ApplyResult: APIValue {
    package var plan: PlanResult
    package var generation: UInt64
    package var summary: String

    package init(plan: PlanResult, generation: UInt64, summary: String) {
        self.plan = plan
        self.generation = generation
        self.summary = summary
    }

    package enum CodingKeys: String, CodingKey {
        case plan
        case generation
        case summary
    }

    package static let schema = APISchema(
        "ApplyResult", "What apply did.",
        [
            .init("plan", .reference("PlanResult"), "The plan that was carried out."),
            .init("generation", .integer, "Generation of the configuration now in force."),
            .init("summary", .string, "What was done, as one sentence."),
        ])
}
