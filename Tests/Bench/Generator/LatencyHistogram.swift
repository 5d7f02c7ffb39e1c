/// How often each latency occurred, in bounded memory and to 1.6 %.
///
/// The buckets are log-linear, as in HDR histograms: 64 of equal width to each power of two, so that
/// the relative error is the same at a microsecond and at a second. Values are nanoseconds; what is
/// longer than 2^40 ns (18 minutes) counts as that. 2240 buckets, 18 KiB, no allocation per value.
struct LatencyHistogram {
    private static let linearBits = 6
    private static let largest: UInt64 = 1 << 40 - 1
    private var buckets = [UInt64](
        repeating: 0, count: (40 - LatencyHistogram.linearBits + 1) << LatencyHistogram.linearBits)
    private(set) var count: UInt64 = 0
    private(set) var maximum: UInt64 = 0

    mutating func record(_ nanoseconds: UInt64) {
        let value = min(nanoseconds, LatencyHistogram.largest)
        buckets[LatencyHistogram.bucket(of: value)] += 1
        count += 1
        maximum = max(maximum, value)
    }

    /// The latency that the given fraction of values did not exceed, in nanoseconds: the upper end of
    /// the bucket in which that value lies. 0 when there are none.
    func quantile(_ fraction: Double) -> UInt64 {
        let rank = max(1, UInt64((Double(count) * fraction).rounded(.up)))
        var seen: UInt64 = 0
        for (index, bucket) in buckets.enumerated() {
            seen += bucket
            if seen >= rank { return min(LatencyHistogram.upperEnd(of: index), maximum) }
        }
        return maximum
    }

    private static func bucket(of value: UInt64) -> Int {
        let magnitude = 63 - (value | 1).leadingZeroBitCount
        let shift = max(0, magnitude - linearBits)
        return shift << linearBits + Int(value >> UInt64(shift))
    }

    private static func upperEnd(of bucket: Int) -> UInt64 {
        let linear = 1 << linearBits
        guard bucket >= 2 * linear else { return UInt64(bucket) }
        let shift = bucket >> linearBits - 1
        let position = bucket - shift << linearBits
        return (UInt64(position) + 1) << UInt64(shift) - 1
    }
}

/// The percentiles that a result gives, in microseconds.
struct LatencySummary: Encodable {
    let p50, p90, p99, p999, max: Double

    init(_ histogram: LatencyHistogram) {
        func microseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1000 }
        p50 = microseconds(histogram.quantile(0.5))
        p90 = microseconds(histogram.quantile(0.9))
        p99 = microseconds(histogram.quantile(0.99))
        p999 = microseconds(histogram.quantile(0.999))
        max = microseconds(histogram.maximum)
    }
}
