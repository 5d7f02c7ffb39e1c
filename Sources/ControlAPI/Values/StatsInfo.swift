/// `GET /v1/stats`.
package struct StatsInfo: APIValue {
    package var uptimeSeconds: Double
    package var generation: UInt64
    package var totals: TrafficCounters
    package var fdb: FDBStats
    package var workers: [WorkerStats]
    package var ports: [PortStats]
    package var captures: CaptureStats?
    package var process: ProcessStats?

    package init(
        uptimeSeconds: Double, generation: UInt64, totals: TrafficCounters, fdb: FDBStats,
        workers: [WorkerStats], ports: [PortStats], captures: CaptureStats? = nil,
        process: ProcessStats? = nil
    ) {
        self.uptimeSeconds = uptimeSeconds
        self.generation = generation
        self.totals = totals
        self.fdb = fdb
        self.workers = workers
        self.ports = ports
        self.captures = captures
        self.process = process
    }

    package enum CodingKeys: String, CodingKey {
        case uptimeSeconds = "uptime_seconds"
        case generation
        case totals
        case fdb
        case workers
        case ports
        case captures
        case process
    }

    package static let schema = APISchema(
        "StatsInfo", "The switch in numbers.",
        [
            .init("uptime_seconds", .number, "Seconds since the daemon was ready."),
            .init("generation", .integer, "Generation of the configuration in force."),
            .init("totals", .reference("TrafficCounters"), "Sum over the ports."),
            .init("fdb", .reference("FDBStats"), "The forwarding database."),
            .init("workers", .array(.reference("WorkerStats")), "Each worker."),
            .init("ports", .array(.reference("PortStats")), "Each port, sorted by name."),
            .init("captures", .reference("CaptureStats"), optional: true, "Running captures."),
            .init(
                "process", .reference("ProcessStats"), optional: true,
                "The daemon as the kernel accounts for it."),
        ])
}

/// A port's part of `StatsInfo`.
package struct PortStats: APIValue {
    package var name: String
    package var state: PortState
    package var counters: TrafficCounters

    package init(name: String, state: PortState, counters: TrafficCounters) {
        self.name = name
        self.state = state
        self.counters = counters
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case state
        case counters
    }

    package static let schema = APISchema(
        "PortStats", "Traffic of one port.",
        [
            .init("name", .string, "Name of the port."),
            .init("state", .enumeration(["up", "down"]), "Whether frames can pass."),
            .init("counters", .reference("TrafficCounters"), "Traffic of the port."),
        ])
}

/// The forwarding database's part of `StatsInfo`.
package struct FDBStats: APIValue {
    package var entries: UInt64
    package var capacity: UInt64
    package var learned: UInt64
    package var moved: UInt64
    package var aged: UInt64
    package var evicted: UInt64
    package var refused: UInt64

    package init(
        entries: UInt64 = 0, capacity: UInt64 = 0, learned: UInt64 = 0, moved: UInt64 = 0,
        aged: UInt64 = 0, evicted: UInt64 = 0, refused: UInt64 = 0
    ) {
        self.entries = entries
        self.capacity = capacity
        self.learned = learned
        self.moved = moved
        self.aged = aged
        self.evicted = evicted
        self.refused = refused
    }

    package enum CodingKeys: String, CodingKey {
        case entries
        case capacity
        case learned
        case moved
        case aged
        case evicted
        case refused
    }

    package static let schema = APISchema(
        "FDBStats", "The forwarding database in numbers.",
        [
            .init("entries", .integer, "Entries now."),
            .init("capacity", .integer, "Entries that fit."),
            .init("learned", .integer, "Addresses learned since the start."),
            .init("moved", .integer, "Addresses that changed their port."),
            .init("aged", .integer, "Addresses forgotten because they were silent."),
            .init("evicted", .integer, "Addresses forgotten to make room."),
            .init("refused", .integer, "Addresses not learned because a limit was reached."),
        ])
}

/// A worker's part of `StatsInfo`.
package struct WorkerStats: APIValue {
    package var number: Int
    package var generation: UInt64
    package var bursts: UInt64
    package var frames: UInt64
    package var sleeps: UInt64
    package var cpuSeconds: Double?

    package init(
        number: Int, generation: UInt64 = 0, bursts: UInt64 = 0, frames: UInt64 = 0,
        sleeps: UInt64 = 0, cpuSeconds: Double? = nil
    ) {
        self.number = number
        self.generation = generation
        self.bursts = bursts
        self.frames = frames
        self.sleeps = sleeps
        self.cpuSeconds = cpuSeconds
    }

    package enum CodingKeys: String, CodingKey {
        case number
        case generation
        case bursts
        case frames
        case sleeps
        case cpuSeconds = "cpu_seconds"
    }

    package static let schema = APISchema(
        "WorkerStats", "One worker in numbers.",
        [
            .init("number", .integer, "Number of the worker, from 0."),
            .init("generation", .integer, "Generation that the worker has taken up."),
            .init("bursts", .integer, "Bursts handled."),
            .init("frames", .integer, "Frames handled."),
            .init("sleeps", .integer, "Times that the worker went to sleep for lack of work."),
            .init(
                "cpu_seconds", .number, optional: true,
                "Processor time that the worker's thread took: its increase in a second is how "
                    + "busy it is."),
        ])
}
