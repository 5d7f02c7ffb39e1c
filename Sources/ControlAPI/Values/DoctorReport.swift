/// What `heddle doctor` found on this machine.
package struct DoctorReport: APIValue {
    package var checks: [DoctorCheck]

    package init(checks: [DoctorCheck]) {
        self.checks = checks
    }

    package enum CodingKeys: String, CodingKey {
        case checks
    }

    package static let schema = APISchema(
        "DoctorReport", "What this machine offers to Heddle.",
        [
            .init("checks", .array(.reference("DoctorCheck")), "The checks, in a fixed order.")
        ])
}

/// One line of `heddle doctor`.
package struct DoctorCheck: APIValue {
    package var name: String
    package var status: CheckStatus
    package var finding: String
    package var remedy: String?

    package init(name: String, status: CheckStatus, finding: String, remedy: String? = nil) {
        self.name = name
        self.status = status
        self.finding = finding
        self.remedy = remedy
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case status
        case finding
        case remedy
    }

    package static let schema = APISchema(
        "DoctorCheck", "One thing looked at.",
        [
            .init("name", .string, "What was looked at."),
            .init(
                "status", .enumeration(["ok", "warning", "missing"]),
                "ok; warning: works with limits; missing: something will not work."),
            .init("finding", .string, "What was found."),
            .init(
                "remedy", .string, optional: true,
                "What to do about it; absent when nothing need be done."),
        ])
}

/// A check's outcome. `missing` means that something will not work.
package enum CheckStatus: String, Codable, Sendable, CaseIterable {
    case ok
    case warning
    case missing
}
