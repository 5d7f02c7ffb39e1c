import Testing
import Wire

@testable import Control
@testable import Dataplane

@Suite("What moves of addresses mean")
struct MoveMonitorTests {
    private let second: UInt64 = 1_000_000_000

    private func move(
        _ number: UInt64, _ from: UInt16, _ to: UInt16, at time: UInt64
    ) -> AddressNotice {
        AddressNotice(
            kind: .moved, key: FDBKey(domain: 1, address: 0x0200_0000_0000 | number).word, port: to,
            previousPort: from, time: time)
    }

    private func mac(_ number: UInt64) -> MACAddress {
        MACAddress(rawValue: 0x0200_0000_0000 | number)
    }

    private let pair = MoveMonitor.Pair(domain: 1, 2, 1)

    @Test("an address that moves is told, once")
    func single() {
        var monitor = MoveMonitor()
        #expect(
            monitor.judge([move(1, 1, 2, at: second)], now: second)
                == [.moved(mac(1), domain: 1, from: 1, to: 2)])
    }

    @Test("a hundred that move one way are a failover, not a storm")
    func failover() {
        var monitor = MoveMonitor()
        let moves = (0..<100).map { move(UInt64($0), 1, 2, at: second) }
        #expect(
            monitor.judge(moves, now: second) == [.movedTogether(100, domain: 1, from: 1, to: 2)])
        // And back, a minute later.
        let back = (0..<100).map { move(UInt64($0), 2, 1, at: 60 * second) }
        #expect(
            monitor.judge(back, now: 60 * second)
                == [.movedTogether(100, domain: 1, from: 2, to: 1)])
    }

    @Test("twenty moves back and forth within a second are a storm, told once")
    func storm() {
        var monitor = MoveMonitor()
        var moves: [AddressNotice] = []
        for step in 0..<40 as Range<UInt64> {
            let (from, to): (UInt16, UInt16) = step % 2 == 0 ? (1, 2) : (2, 1)
            moves.append(move(1, from, to, at: second + step * 1_000))
        }
        #expect(monitor.judge(moves, now: 2 * second) == [.storm(pair, count: 20)])
        let more = moves.map { move in
            var move = move
            move.time += second
            return move
        }
        #expect(monitor.judge(more, now: 3 * second) == [])
        let later = moves.map { move in
            var move = move
            move.time += 60 * second
            return move
        }
        #expect(monitor.judge(later, now: 62 * second) == [.storm(pair, count: 20)])
    }

    @Test("many addresses that each go back and forth are a storm as well")
    func manyAddresses() {
        var monitor = MoveMonitor()
        var moves: [AddressNotice] = []
        for number in 0..<10 as Range<UInt64> {
            moves.append(move(number, 1, 2, at: second))
            moves.append(move(number, 2, 1, at: second + 1))
        }
        #expect(monitor.judge(moves, now: second) == [.storm(pair, count: 20)])
    }

    @Test("an address that goes back and forth for seconds is at two places")
    func alternation() {
        var monitor = MoveMonitor()
        var findings: [MoveMonitor.Finding] = []
        for step in 0..<8 as Range<UInt64> {
            let time = second + step * second / 2
            let (from, to): (UInt16, UInt16) = step % 2 == 0 ? (1, 2) : (2, 1)
            findings += monitor.judge([move(1, from, to, at: time)], now: time)
        }
        #expect(
            findings == [
                .moved(mac(1), domain: 1, from: 1, to: 2), .suspicion(pair),
                .moved(mac(1), domain: 1, from: 2, to: 1),
                .moved(mac(1), domain: 1, from: 1, to: 2), .suspicion(pair),
                .alternation(mac(1), pair, count: 5),
            ])
    }

    @Test("one that comes back after half a minute is a guest that migrates")
    func slowReturn() {
        var monitor = MoveMonitor()
        for step in 0..<10 as Range<UInt64> {
            let time = second + step * 31 * second
            let (from, to): (UInt16, UInt16) = step % 2 == 0 ? (1, 2) : (2, 1)
            #expect(
                monitor.judge([move(1, from, to, at: time)], now: time)
                    == [.moved(mac(1), domain: 1, from: from, to: to)])
        }
    }

    @Test("a flood of moving addresses costs bounded memory and is still judged")
    func flood() {
        var monitor = MoveMonitor()
        for round in 0..<20 as Range<UInt64> {
            let time = second + round * second / 4
            let moves = (0..<4_000).map { move(round * 4_000 + UInt64($0), 1, 2, at: time) }
            #expect(
                monitor.judge(moves, now: time)
                    == [.movedTogether(4_000, domain: 1, from: 1, to: 2)])
        }
    }
}

@Suite("What drops mean")
struct DropMonitorTests {
    private let place = DropMonitor.Place(port: 1, reason: .vlanNotAllowed)
    private let second: UInt64 = 1_000_000_000

    /// Reads counts of one second each; the seconds in which a spike was told.
    private func spikes(_ perSecond: [UInt64]) -> [Int] {
        var monitor = DropMonitor()
        var count: UInt64 = 0
        var told: [Int] = []
        for (place, dropped) in perSecond.enumerated() {
            count += dropped
            let time = UInt64(place + 1) * second
            let spike = monitor.read(
                self.place, count: count, time: time, since: time - second)
            if spike != nil { told.append(place) }
        }
        return told
    }

    @Test("a rate that jumps is told in its first second")
    func jump() {
        #expect(spikes([0, 0, 5, 0, 500]) == [4])
        #expect(spikes([500]) == [0], "a reason that never occurred before")
    }

    @Test("a hundred a second or fewer are no spike")
    func floor() { #expect(spikes([0, 100, 100, 100]) == []) }

    @Test("what goes on is told once")
    func lasting() {
        #expect(spikes([UInt64](repeating: 1000, count: 300)) == [0])
    }

    @Test("pulses are told once a minute at most")
    func pulses() {
        let pulses = (0..<120).map { $0 % 10 == 0 ? 5_000 as UInt64 : 0 }
        #expect(spikes(pulses).count <= 2)
    }

    @Test("a rate far above a usual one is told, one a little above is not")
    func relative() {
        let usual = [UInt64](repeating: 200, count: 200)
        #expect(spikes(usual + [1_500]) == [0])
        #expect(spikes(usual + [5_000]) == [0, 200])
    }
}

@Suite("Loop probes")
struct LoopProberTests {
    private func back(
        _ probe: LoopProbe, at port: UInt16, domain: UInt16 = 1, time: UInt64 = 1
    ) -> LoopReturn {
        LoopReturn(probe: probe, ingress: port, domain: domain, time: time)
    }

    @Test("one that comes back shows the loop, and ends the asking")
    func comesBack() throws {
        var prober = LoopProber(instance: 7)
        prober.ask(port: 1, domain: 1, times: 5, now: 0)
        prober.ask(port: 2, domain: 1, times: 5, now: 0)
        let probes = prober.due(now: 0)
        #expect(Set(probes.map(\.port)) == [1, 2])
        #expect(prober.due(now: 1).isEmpty, "the next ones are not due yet")
        let probe = try #require(probes.first { $0.port == 1 })
        let shown = prober.returned(back(probe, at: 2))
        let loop = try #require(shown)
        #expect(loop == LoopProber.Loop(port: 1, domain: 1, ingress: 2, ingressDomain: 1))
        #expect(!prober.isBusy)
        #expect(prober.isNews(loop, now: 2) == true)
        #expect(prober.isNews(loop, now: 3) == false)
        let other = try #require(probes.first { $0.port == 2 })
        let again = prober.returned(back(other, at: 1))
        let same = try #require(again)
        #expect(prober.isNews(same, now: 3) == false, "the same loop the other way round")
        #expect(prober.hasLoop(MoveMonitor.Pair(domain: 1, 1, 2), now: 4))
        #expect(!prober.hasLoop(MoveMonitor.Pair(domain: 1, 1, 3), now: 4))
        #expect(prober.isNews(loop, now: 3 + LoopProber.patience) == true)
    }

    @Test("a port is asked as often as was said, a pause apart")
    func burst() {
        var prober = LoopProber(instance: 7)
        prober.ask(port: 1, domain: 1, times: 3, now: 0)
        var count = 0
        for round in 0..<10 as Range<UInt64> {
            count += prober.due(now: round * LoopProber.burstPause).count
        }
        #expect(count == 3 && !prober.isBusy)
    }

    @Test("what nobody sent is not believed")
    func forged() throws {
        var prober = LoopProber(instance: 7)
        prober.ask(port: 1, domain: 1, now: 0)
        let probe = try #require(prober.due(now: 0).first)
        var forged = probe
        forged.port = 5
        #expect(prober.returned(back(forged, at: 2)) == nil, "of another's port")
        forged = probe
        forged.serial &+= 1
        #expect(prober.returned(back(forged, at: 2)) == nil, "a serial that was not sent")
        forged = probe
        forged.domain = 2
        #expect(prober.returned(back(forged, at: 2)) == nil, "of another network")
        forged = probe
        forged.instance = 8
        #expect(prober.returned(back(forged, at: 2)) == nil, "of another switch")
        let late = back(probe, at: 2, time: LoopProber.patience + 1)
        #expect(prober.returned(late) == nil, "kept and sent later")
        #expect(prober.returned(back(probe, at: 2)) != nil)
    }

    @Test("what was sent long ago is forgotten")
    func bound() {
        var prober = LoopProber(instance: 7)
        for round in 0..<200 as Range<UInt64> {
            let now = round * 1_000_000_000
            for port in 0..<100 as Range<UInt16> { prober.ask(port: port, domain: 1, now: now) }
            #expect(prober.due(now: now).count == 100)
        }
    }
}
