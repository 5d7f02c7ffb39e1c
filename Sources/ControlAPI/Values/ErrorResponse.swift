/// Body of every answer whose status is not 2xx.
package struct ErrorResponse: APIValue {
    package var error: String
    package var details: [String]

    package init(error: String, details: [String] = []) {
        self.error = error
        self.details = details
    }

    package enum CodingKeys: String, CodingKey {
        case error
        case details
    }

    package static let schema = APISchema(
        "ErrorResponse", "Why a request failed.",
        [
            .init("error", .string, "One sentence that says what is wrong."),
            .init(
                "details", .array(.string),
                "One line per finding, with place and remedy; may be empty."),
        ])
}

/// Answer to a change that has nothing else to say.
package struct Acknowledgement: APIValue {
    package var message: String

    package init(message: String) {
        self.message = message
    }

    package enum CodingKeys: String, CodingKey {
        case message
    }

    package static let schema = APISchema(
        "Acknowledgement", "A change that was made.",
        [
            .init("message", .string, "What was done, as one sentence.")
        ])
}
