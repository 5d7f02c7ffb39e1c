/// The daemon's part of `StatsInfo`.
package struct ProcessStats: APIValue {
    package var cpuSeconds: Double
    package var residentBytes: UInt64
    package var virtualBytes: UInt64
    package var openDescriptors: UInt64
    package var descriptorLimit: UInt64
    package var threads: UInt64
    package var startTimeSeconds: Double

    package init(
        cpuSeconds: Double, residentBytes: UInt64, virtualBytes: UInt64, openDescriptors: UInt64,
        descriptorLimit: UInt64, threads: UInt64, startTimeSeconds: Double
    ) {
        self.cpuSeconds = cpuSeconds
        self.residentBytes = residentBytes
        self.virtualBytes = virtualBytes
        self.openDescriptors = openDescriptors
        self.descriptorLimit = descriptorLimit
        self.threads = threads
        self.startTimeSeconds = startTimeSeconds
    }

    package enum CodingKeys: String, CodingKey {
        case cpuSeconds = "cpu_seconds"
        case residentBytes = "resident_bytes"
        case virtualBytes = "virtual_bytes"
        case openDescriptors = "open_descriptors"
        case descriptorLimit = "descriptor_limit"
        case threads
        case startTimeSeconds = "start_time_seconds"
    }

    package static let schema = APISchema(
        "ProcessStats", "The daemon as the kernel accounts for it.",
        [
            .init("cpu_seconds", .number, "Processor time of all threads, user and system."),
            .init("resident_bytes", .integer, "Memory in RAM."),
            .init("virtual_bytes", .integer, "Address space."),
            .init("open_descriptors", .integer, "File descriptors open now."),
            .init("descriptor_limit", .integer, "File descriptors that may be open."),
            .init("threads", .integer, "Threads now."),
            .init("start_time_seconds", .number, "When the process began, seconds since 1970."),
        ])
}
