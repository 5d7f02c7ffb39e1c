import Dataplane

/// Notices when drops begin to jump: a reason at a port whose rate is far above its last minute's.
///
/// Told is a rate above ``rateFloor`` that is more than ``factor`` times the mean of the last minute
/// (exponentially weighted), and then nothing about that reason at that port for a minute: a mean that
/// comes up to the rate makes it the usual.
///
/// A value, for one thread. Kept are the reasons that ever occurred.
struct DropMonitor {
    struct Place: Hashable {
        var port: UInt16
        var reason: DropReason
    }

    struct Spike: Equatable {
        var place: Place
        /// Frames a second.
        var rate: Double
        /// Its mean over the minute before.
        var mean: Double
    }

    private struct Entry {
        var count: UInt64
        var mean: Double
        var time: UInt64
        var quietUntil: UInt64
    }

    static let rateFloor = 100.0
    static let factor = 10.0
    private static let minute: UInt64 = 60_000_000_000

    private var entries: [Place: Entry] = [:]

    init() {}

    /// Takes a reading of one counter; times are monotonic nanoseconds.
    mutating func read(_ place: Place, count: UInt64, time: UInt64, since: UInt64) -> Spike? {
        guard var entry = entries[place] else {
            guard count > 0 else { return nil }
            // New is what was zero at the last reading; it has no minute before.
            entries[place] = Entry(count: 0, mean: 0, time: since, quietUntil: 0)
            return read(place, count: count, time: time, since: since)
        }
        let seconds = Double(time &- entry.time) / 1e9
        guard seconds > 0 else { return nil }
        // A counter that went back was given to another port of that number.
        let dropped = count >= entry.count ? count - entry.count : 0
        let rate = Double(dropped) / seconds
        let mean = entry.mean
        entry.mean += (rate - mean) * min(1, seconds / 60)
        entry.count = count
        entry.time = time
        let isSpike = rate > DropMonitor.rateFloor && rate > mean * DropMonitor.factor
        let isTold = isSpike && time >= entry.quietUntil
        if isTold { entry.quietUntil = time + DropMonitor.minute }
        entries[place] = entry
        return isTold ? Spike(place: place, rate: rate, mean: mean) : nil
    }

    mutating func forget(port: UInt16) {
        entries = entries.filter { $0.key.port != port }
    }
}
