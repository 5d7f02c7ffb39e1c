import TestSupport

/// The statistics of the benchmark: medians, and how far they can be trusted.
///
/// Two systems are compared by the ratio of each pair of neighbouring trials, because neighbours
/// share the machine's mood: absolute figures on a virtual machine drift by a third within minutes,
/// ratios of neighbours hardly. The result is the median of the ratios, which one bad pair does not
/// move. Its interval is a percentile bootstrap: the ratios are drawn again, with replacement, as
/// many as there are, 10,000 times; the interval spans the middle 95 % of the medians. Nothing is
/// assumed of the distribution; with few pairs the interval is simply wide. The generator is seeded,
/// so that the same trials give the same interval.
enum Statistics {
    static func median(_ values: [Double]) -> Double {
        precondition(!values.isEmpty, "a median of nothing")
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The median and its 95 % interval.
    static func interval(of values: [Double], rounds: Int = 10_000) -> Interval {
        var random = SeededRandom(seed: 0x4865_6464_6c65)
        var sample = values
        var medians: [Double] = []
        medians.reserveCapacity(rounds)
        for _ in 0..<rounds {
            for index in sample.indices {
                sample[index] = values[Int.random(in: values.indices, using: &random)]
            }
            medians.append(median(sample))
        }
        medians.sort()
        return Interval(
            median: median(values), low: medians[rounds * 25 / 1000],
            high: medians[rounds * 975 / 1000 - 1])
    }
}

struct Interval: Codable, Equatable, Sendable {
    let median: Double
    let low: Double
    let high: Double
}
