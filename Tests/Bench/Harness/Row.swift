/// A row of the benchmark: a piece of work and whom it is compared with.
///
/// How to write one. A row is a small value in Rows/, listed in `Row.all` (Rows/Catalogue.swift). It
/// declares the `lines` of the table that it fills and, in `measure`, produces one ``Finding`` for
/// each. The tools for that are methods of ``Bench``:
///
/// - `bench.compare(lines, ours, theirs, ports: n) { rig, load in … }` starts both systems, with n
///   ports each, interleaves trials of the closure as A B B A, discards what was disturbed, and makes
///   findings of the ratios. The closure gets a running ``Rig`` (its ports, their namespaces and
///   devices), applies load for about `load.seconds`, and returns a ``Trial``: one value for each
///   line's id, and how many frames or bytes crossed, for the account of CPU time. Everything outside
///   the closure (starting, addressing, pinning, canaries, /proc/stat) is the bench's business.
/// - `bench.interleave(lines) { round in … }` is the same for things that are not switches.
/// - `bench.withRig(of: system, ports: n) { rig in … }` runs one system alone, for what is searched
///   (a zero-loss rate) or judged by itself (idle).
/// - `bench.flow(…)` and `bench.iperf(…)` are the load.
///
/// A closure throws ``NotMeasured`` when something is missing or did not work; the line then says so.
/// `bench.isFull` tells a thorough run from a quick one.
protocol Row: Sendable {
    /// What it fills, in the order of the table. ``Line/id`` is what ONLY=… selects.
    var lines: [Line] { get }

    /// One finding for each line.
    func measure(_ bench: Bench) throws -> [Finding]
}

/// A line of the table.
struct Line: Codable, Sendable {
    let id: String
    /// The work, in words.
    let what: String
    /// Whom it is compared with; nil when it is judged by its own value.
    let against: String?
    /// What a value is given in, such as "Gbit/s".
    let unit: String
    /// Ratios are turned so that more than 1 is always in Heddle's favour.
    let isMoreBetter: Bool
    let goal: Goal
    /// How it is measured, for an expert who distrusts benchmarks.
    let how: String
}

/// What is demanded of a line. A ratio meets its goal when the lower end of its interval does.
enum Goal: Codable, Sendable {
    case ratio(floor: Double, aim: Double)
    /// The value itself, in the line's unit, is at most so much.
    case atMost(floor: Double, aim: Double)
    /// The value itself is at least so much.
    case atLeast(floor: Double, aim: Double)
    /// The interval has to contain 1: both sides are the same program.
    case same
    /// For information.
    case none
}

/// What one application of load gave.
struct Trial: Codable, Sendable {
    /// By the id of the line.
    var values: [String: Double]
    /// How much crossed the switch, as far as it is known; CPU time is divided by it.
    var frames: Double?
    var bytes: Double?
    /// Seconds in which some CPU of the machine was busy, all processes, softirqs and the load's own
    /// work included. Filled in by the bench.
    var busySeconds: Double = 0

    init(_ values: [String: Double], frames: Double? = nil, bytes: Double? = nil) {
        self.values = values
        self.frames = frames
        self.bytes = bytes
    }
}

/// Why a line could not be measured, in a sentence.
struct NotMeasured: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
