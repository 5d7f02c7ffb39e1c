/// Who answers at the socket: `GET /v1/version`.
package struct VersionInfo: APIValue {
    package var version: String
    package var apiVersion: String
    package var instance: String
    package var pid: Int
    package var sandbox: Bool
    package var uptimeSeconds: Double

    package init(
        version: String, apiVersion: String, instance: String, pid: Int, sandbox: Bool,
        uptimeSeconds: Double
    ) {
        self.version = version
        self.apiVersion = apiVersion
        self.instance = instance
        self.pid = pid
        self.sandbox = sandbox
        self.uptimeSeconds = uptimeSeconds
    }

    package enum CodingKeys: String, CodingKey {
        case version
        case apiVersion = "api_version"
        case instance
        case pid
        case sandbox
        case uptimeSeconds = "uptime_seconds"
    }

    package static let schema = APISchema(
        "VersionInfo", "The daemon that answers.",
        [
            .init("version", .string, "Version of the executable."),
            .init("api_version", .string, "Version of this interface, as in its paths: v1."),
            .init("instance", .string, "Name that marks what this daemon makes."),
            .init("pid", .integer, "Process ID, in the daemon's own PID namespace."),
            .init("sandbox", .boolean, "Whether the daemon runs in namespaces of its own."),
            .init("uptime_seconds", .number, "Seconds since the daemon was ready."),
        ])
}
