import TestSupport
import Testing

@testable import heddle_bench

@Suite("The benchmark's statistics")
struct StatisticsTests {
    @Test(
        "A median is the middle, or the mean of the two in the middle",
        arguments: [
            ([3.0], 3.0),  // one alone
            ([1, 9, 2], 2),  // not in order
            ([4, 1, 3, 2], 2.5),  // an even number
            ([1, 1, 1, 1000], 1),  // one that is far out does not move it
        ] as [([Double], Double)])
    func median(values: [Double], expected: Double) {
        #expect(Statistics.median(values) == expected)
    }

    @Test("An interval holds its median and what most of the values say")
    func interval() {
        let values = [0.97, 0.98, 0.99, 1.0, 1.0, 1.01, 1.02, 1.03, 1.04, 5.0]
        let interval = Statistics.interval(of: values)
        #expect(interval.median == 1.005)
        #expect(interval.low < 1 && interval.low >= 0.97)
        #expect(interval.high > 1.005 && interval.high < 1.05)
    }

    @Test("Equal values leave no doubt, and the same values give the same interval")
    func certainty() {
        #expect(
            Statistics.interval(of: [2, 2, 2]) == Interval(median: 2, low: 2, high: 2))
        let values = [0.9, 1.1, 1.3, 0.8, 1.0]
        #expect(Statistics.interval(of: values) == Statistics.interval(of: values))
    }

    @Test("An interval of 95 % misses the truth about once in twenty times, with ten pairs")
    func coverage() {
        var random = SeededRandom(seed: 1)
        var hits = 0
        for _ in 0..<200 {
            // Sums of uniform values, whose true median is 6.
            let values = (0..<10).map { _ in
                (0..<12).reduce(0.0) { sum, _ in sum + Double.random(in: 0..<1, using: &random) }
            }
            let interval = Statistics.interval(of: values, rounds: 1000)
            if interval.low <= 6 && interval.high >= 6 { hits += 1 }
        }
        #expect(hits > 174, "covered \(hits) of 200")
        #expect(hits < 200, "an interval that is never wrong says nothing")
    }

    @Test(
        "A ratio meets its goal by the lower end of its interval",
        arguments: [
            (Interval(median: 1.2, low: 1.1, high: 1.3), Verdict.aimMet),
            (Interval(median: 1.2, low: 0.96, high: 1.3), .met),  // the aim by its median only
            (Interval(median: 1.0, low: 0.94, high: 1.1), .missed),  // the floor by its median only
        ])
    func verdict(ratio: Interval, expected: Verdict) {
        let line = Line(
            id: "x", what: "", against: "y", unit: "", isMoreBetter: true,
            goal: .ratio(floor: 0.95, aim: 1.05), how: "")
        var finding = Finding(line, value: 1)
        finding.ratio = ratio
        #expect(finding.verdict == expected)
    }
}
