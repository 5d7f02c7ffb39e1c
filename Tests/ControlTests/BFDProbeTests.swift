import Glibc
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Control

@Suite("Probing tunnels")
struct BFDProbeTests {
    private let interval = Duration.milliseconds(200)

    /// Two hosts with a tunnel to each other; packets arrive a millisecond later.
    private struct Pair {
        var hosts = [ProbeSessions(), ProbeSessions()]
        var now = ContinuousClock.now
        /// Whether packets of that host get through.
        var passes = [true, true]
        var reports: [[ProbeReport]] = [[], []]
        private var flying: [(arrival: ContinuousClock.Instant, to: Int, packet: BFDControl)] = []
        var random = SeededRandom(seed: 1)

        func state(_ host: Int) -> ProbeState? { hosts[host].report(of: "peer")?.state }

        mutating func set(_ host: Int, _ tunnels: Set<String>, _ interval: Duration) {
            hosts[host].set(tunnels, interval: interval, now: now, using: &random)
        }

        /// A tenant's frame last came to host 0 at that time.
        mutating func traffic(at time: ContinuousClock.Instant) {
            hosts[0].noteTraffic({ _ in time }, now: now)
        }

        mutating func run(_ duration: Duration) {
            let end = now + duration
            while now < end {
                for packet in flying where packet.arrival <= now {
                    hosts[packet.to].receive(packet.packet, tunnel: "peer", now: now)
                }
                flying.removeAll { $0.arrival <= now }
                for host in 0..<2 {
                    let (packets, changes) = hosts[host].advance(now: now, using: &random)
                    reports[host] += changes
                    for (tunnel, packet) in packets where tunnel == "peer" && passes[host] {
                        flying.append((now + .milliseconds(1), 1 - host, packet))
                    }
                }
                let times = hosts.map(\.nextTime) + flying.map(\.arrival)
                now = min(end, max(now, times.compactMap { $0 }.min() ?? end))
            }
        }
    }

    private func pair() -> Pair {
        var pair = Pair()
        pair.set(0, ["peer"], interval)
        pair.set(1, ["peer"], interval)
        pair.run(.seconds(3))
        #expect(pair.state(0) == .up)
        #expect(pair.state(1) == .up)
        return pair
    }

    @Test("finds a peer up, then down in less than a second, then up again")
    func lifecycle() throws {
        var pair = pair()
        #expect(pair.reports[0].map(\.state) == [.unprobed, .up])
        pair.passes[1] = false
        let cut = pair.now
        pair.run(.seconds(1))
        let report = try #require(pair.reports[0].last)
        #expect(report.state == .down)
        #expect(report.since - cut < .milliseconds(700))
        #expect(try #require(report.lastHeard) <= cut + .milliseconds(1))
        #expect(pair.state(1) == .down, "the other end is told that it is not heard")
        pair.passes[1] = true
        pair.run(.seconds(2))
        #expect(pair.reports[0].map(\.state) == [.unprobed, .up, .down, .up])
    }

    @Test("leaves a peer that never answered unprobed")
    func unprobed() {
        var pair = Pair()
        pair.set(0, ["peer", "other"], interval)
        pair.run(.seconds(600))
        #expect(pair.state(0) == .unprobed)
        #expect(pair.hosts[0].report(of: "peer")?.lastHeard == nil)
        #expect(pair.reports[0].count == 2, "each once")
        pair.traffic(at: pair.now)
        #expect(pair.state(0) == .unprobed)
    }

    @Test("does not take the end of probing for a failure, even if the goodbye is half lost")
    func goodbye() {
        for losses in [false, true] {
            var pair = pair()
            pair.passes[0] = !losses
            pair.set(0, [], interval)
            pair.run(.milliseconds(500))
            pair.passes[0] = true
            pair.run(.seconds(60))
            #expect(pair.hosts[0].report(of: "peer") == nil)
            #expect(pair.state(1) == .unprobed)
            #expect(pair.hosts[0].nextTime == nil, "nothing is left to do")
            pair.set(0, ["peer"], interval)
            pair.run(.seconds(2))
            #expect(pair.state(0) == .up)
            #expect(pair.state(1) == .up)
        }
    }

    @Test("goes over to another interval without finding anybody down")
    func otherInterval() {
        var pair = pair()
        for (host, interval) in [(0, 500), (1, 500), (1, 100)] {
            pair.set(host, ["peer"], .milliseconds(interval))
            pair.run(.seconds(5))
            #expect(pair.state(0) == .up)
            #expect(pair.state(1) == .up)
        }
        for reports in pair.reports { #expect(!reports.contains { $0.state == .down }) }
        let count = pair.reports.map(\.count)
        pair.set(1, ["peer"], .milliseconds(100))
        pair.run(.seconds(1))
        #expect(pair.reports.map(\.count) == count, "the same again changes nothing")
    }

    @Test("forgives a peer that is back without probes, but not one that only sends")
    func traffic() {
        var pair = pair()
        pair.passes[1] = false
        pair.run(.seconds(2))
        pair.traffic(at: pair.now)
        #expect(pair.state(0) == .down, "it may have been on its way")
        pair.run(.seconds(3))
        pair.traffic(at: pair.now - .seconds(4))
        #expect(pair.state(0) == .down, "old traffic")
        pair.traffic(at: pair.now)
        #expect(pair.state(0) == .unprobed)

        pair = self.pair()
        pair.passes[0] = false
        pair.run(.seconds(10))
        pair.traffic(at: pair.now)
        #expect(pair.state(0) == .down, "its probes say that it does not hear us")
    }

    @Test("by threads: two engines find each other, and one finds the other gone")
    func engines() async throws {
        try await blocking {
            let engines = Mutex<[ProbeEngine]>([])
            let mailbox = Mutex<[ProbeEngine.Arrival]>([])
            let states = Mutex<[ProbeState]>([])
            let calls = Atomic<Int>(0)
            // The first is handed what arrives, the second collects it.
            let first = try ProbeEngine(
                transmit: { _, packet in
                    mailbox.withLock { $0.append(.init(tunnel: "vxlan:alpha", packet: packet)) }
                },
                handler: { reports in states.withLock { $0 += reports.map(\.state) } })
            let second = try ProbeEngine(
                transmit: { _, packet in
                    for engine in engines.withLock(\.self) {
                        engine.received(tunnel: "vxlan:beta", packet: packet)
                    }
                },
                collect: {
                    calls.add(1, ordering: .relaxed)
                    return mailbox.withLock { arrivals in
                        defer { arrivals = [] }
                        return arrivals
                    }
                }, handler: { _ in })
            engines.withLock { $0 = [first] }
            defer {
                first.stop()
                second.stop()
            }
            try second.probe([], every: .milliseconds(50))
            usleep(50_000)
            #expect(calls.load(ordering: .relaxed) == 0, "no tunnels, no thread")
            try first.probe(["vxlan:beta"], every: .milliseconds(50))
            try second.probe(["vxlan:alpha"], every: .milliseconds(50))
            #expect(soon { states.withLock(\.self) == [.unprobed, .up] })
            #expect(soon { second.report(of: "vxlan:alpha")?.state == .up })
            second.stop()
            #expect(soon { states.withLock(\.self) == [.unprobed, .up, .down] })
            #expect(first.report(of: "vxlan:beta")?.state == .down)
            try first.probe([], every: .milliseconds(50))
            #expect(first.report(of: "vxlan:beta") == nil)
        }
    }
}
