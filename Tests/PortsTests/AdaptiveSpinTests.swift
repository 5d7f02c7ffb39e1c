import Testing

@testable import Ports

@Suite("A worker asks again before it sleeps only where that pays")
struct AdaptiveSpinTests {
    /// Lives through gaps of the given lengths in nanoseconds, asking every 10 µs; for each, for how
    /// long the worker asked before it slept.
    private func live(_ gaps: [UInt64], _ spin: inout AdaptiveSpin) -> [UInt64] {
        var time: UInt64 = 1_000_000
        return gaps.map { gap in
            let start = time
            var asked: UInt64 = 0
            while time < start + gap, spin.shouldAskAgain(at: time) {
                spin.yielded(from: time, until: time + 300)
                time += 10_000
                asked = time - start
            }
            time = start + gap
            spin.foundFrames(at: time)
            return min(asked, gap)
        }
    }

    @Test("sleeps at once while nothing is known")
    func startsAsleep() {
        var spin = AdaptiveSpin()
        #expect(live([1_000_000], &spin) == [0])
    }

    @Test("asks through short gaps, and in long ones no longer than the limit")
    func learns() {
        var spin = AdaptiveSpin()
        _ = live([20_000, 20_000], &spin)
        let asked = live([50_000, 5_000_000, 50_000], &spin)
        #expect(asked == [50_000, AdaptiveSpin.limit, 50_000])
    }

    @Test("gives up when gaps stay long, after eight at most")
    func forgets() {
        var spin = AdaptiveSpin()
        _ = live([UInt64](repeating: 10_000, count: 20), &spin)
        let asked = live([UInt64](repeating: 1_000_000, count: 10), &spin)
        #expect(asked.first == AdaptiveSpin.limit)
        #expect(asked.suffix(3) == [0, 0, 0])
    }

    @Test("keeps asking between request and response, though each next request is far")
    func requestAndResponse() {
        var spin = AdaptiveSpin()
        let gaps = [UInt64](repeating: 0, count: 40).indices.map {
            $0.isMultiple(of: 2) ? UInt64(60_000) : 900_000
        }
        let asked = live(gaps, &spin)
        #expect(asked[38] == 60_000)
    }

    @Test("sleeps for the rest of a gap in which a yield took long, and asks in the next")
    func contention() {
        var spin = AdaptiveSpin()
        _ = live([10_000, 10_000, 10_000], &spin)
        let before = spin.shouldAskAgain(at: 10_000_000)
        spin.yielded(from: 10_000_000, until: 10_050_000)
        let after = spin.shouldAskAgain(at: 10_050_000)
        spin.foundFrames(at: 10_060_000)
        let next = spin.shouldAskAgain(at: 10_060_000)
        #expect(before && !after && next)
    }
}
