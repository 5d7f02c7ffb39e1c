import Glibc
import Logging
import Netlink
import Synchronization
import TestSupport
import Testing
import Wire

@testable import Control

/// A monitor with what it reports, in a namespace with a veth to an underlay.
private final class UnderlayLab {
    let reports = Reports()
    private let monitor: UnderlayMonitor

    final class Reports: Sendable {
        let calls = Mutex<[[PathState]]>([])

        func last(_ name: String) -> PathState? {
            calls.withLock { $0.joined().last { $0.name == name } }
        }
    }

    /// Runs `body` with 192.0.2.1/24 and 2001:db8::1/64 on device va, whose other end is vb.
    static func with(_ body: @escaping @Sendable (UnderlayLab) throws -> Void) async throws {
        try await blocking {
            try inFreshNamespace {
                let lab = try UnderlayLab()
                defer { lab.monitor.stop() }
                try body(lab)
            }
        }
    }

    private init() throws {
        var log = Logger(label: "test")
        log.logLevel = .critical
        for arguments in [
            "link add va type veth peer name vb", "link set va up", "link set vb up",
            "address add 192.0.2.1/24 dev va", "address add 2001:db8::1/64 dev va nodad",
        ] { try Self.run("ip " + arguments) }
        monitor = try UnderlayMonitor(log: log)
        let reports = reports
        try monitor.start { states in reports.calls.withLock { $0.append(states) } }
    }

    func ip(_ arguments: String) throws { try Self.run("ip " + arguments) }

    static func run(_ command: String) throws {
        let outcome = try ChildProcess.run(
            command.split(separator: " ").map(String.init), timeout: .seconds(10))
        #expect(outcome.isSuccess, "\(command): \(outcome.standardError)")
    }

    func watch(_ paths: [(String, String, String)]) throws {
        monitor.watch(
            try paths.map {
                UnderlayPath(
                    name: $0, local: try #require(IPAddress($1)),
                    remote: try #require(IPAddress($2))
                )
            })
    }

    func refresh() { monitor.refresh() }
    func state(of name: String) -> PathState? { monitor.state(of: name) }

    /// Waits until the path's state satisfies the condition, for five seconds at most, and for its report.
    func expect(
        _ what: Comment, _ name: String = "beta", _ location: SourceLocation = #_sourceLocation,
        _ condition: (PathState) -> Bool
    ) {
        // It takes some ten milliseconds. With all tests at once on two cores it has to wait its turn.
        let deadline = ContinuousClock.now + .seconds(5)
        repeat {
            if let state = state(of: name), condition(state) {
                #expect(soon { reports.last(name) == state }, what, sourceLocation: location)
                return
            }
            usleep(1000)
        } while ContinuousClock.now < deadline
        let last = state(of: name)
        Issue.record("\(what): \(last.map { "\($0)" } ?? "nothing")", sourceLocation: location)
    }

    func expectDown(
        _ reason: String, _ name: String = "beta", _ location: SourceLocation = #_sourceLocation
    ) {
        expect("down: \(reason)", name, location) {
            !$0.isUp && $0.reason?.hasPrefix(reason) == true && $0.mtu == nil
        }
    }

    func expectUp(_ name: String = "beta", _ location: SourceLocation = #_sourceLocation) {
        expect("up", name, location) { $0.isUp && $0.reason == nil && $0.device == "va" }
    }
}

@Suite(
    "A path over the underlay", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"),
    .enabled(if: ExternalTool.isAvailable("ip", package: "iproute2")))
struct UnderlayMonitorTests {
    private let v4 = ("beta", "192.0.2.1", "192.0.2.2")
    private let v6 = ("beta", "2001:db8::1", "2001:db8::2")

    @Test("is reported when it is first watched, with device, MTU and neighbour")
    func first() async throws {
        try await UnderlayLab.with { lab in
            try lab.watch([v4, ("gamma", "2001:db8::1", "2001:db8::3")])
            let state = PathState.up(
                "beta", device: "va", gateway: nil, mtu: 1500, neighbour: "none")
            lab.expect("up") { $0 == state }
            lab.expectUp("gamma")
            try lab.watch([v4])
            #expect(soon { lab.state(of: "gamma") == nil })
            usleep(50_000)
            #expect(lab.reports.calls.withLock { $0.joined().count } == 2, "no news of beta")
        }
    }

    @Test("goes down with the route and comes back with it")
    func route() async throws {
        try await UnderlayLab.with { lab in
            try lab.ip("route add 198.51.100.0/24 via 192.0.2.254")
            try lab.ip("-6 route add 2001:db8:1::/48 via 2001:db8::fe")
            try lab.watch([
                ("beta", "192.0.2.1", "198.51.100.2"), ("gamma", "2001:db8::1", "2001:db8:1::2"),
            ])
            lab.expect("through a gateway") { $0.isUp && $0.gateway == IPAddress("192.0.2.254") }
            lab.expectUp("gamma")
            try lab.ip("route delete 198.51.100.0/24")
            lab.expectDown("no route to 198.51.100.2: add one with 'ip route add")
            try lab.ip("-6 route delete 2001:db8:1::/48")
            lab.expectDown("no route to 2001:db8:1::2: add one with 'ip -6 route add", "gamma")
            try lab.ip("route add 198.51.100.0/24 via 192.0.2.253")
            lab.expect("another gateway") { $0.isUp && $0.gateway == IPAddress("192.0.2.253") }
            try lab.ip("-6 route add 2001:db8:1::/48 via 2001:db8::fe")
            lab.expectUp("gamma")
        }
    }

    @Test("goes down with its address and comes back with it")
    func address() async throws {
        try await UnderlayLab.with { lab in
            for (path, local) in [(v4, "192.0.2.1/24"), (v6, "2001:db8::1/64")] {
                try lab.watch([path])
                lab.expectUp()
                try lab.ip("address delete \(local) dev va")
                lab.expectDown("address \(path.1) is not on this host")
                try lab.ip("address add \(local) dev va nodad")
                lab.expectUp()
            }
            try lab.ip("address add 2001:db8:5::1/64 dev va")
            try lab.watch([("beta", "2001:db8:5::1", "2001:db8:5::2")])
            lab.expectDown("address 2001:db8:5::1 is being checked for duplicates")
        }
    }

    @Test("follows the MTU of its device and of its route")
    func mtu() async throws {
        try await UnderlayLab.with { lab in
            try lab.watch([v4])
            lab.expect("1500") { $0.mtu == 1500 }
            try lab.ip("link set va mtu 1400")
            lab.expect("1400") { $0.mtu == 1400 }
            try lab.ip("route add 192.0.2.2/32 dev va mtu 1300")
            lab.expect("the route's") { $0.mtu == 1300 }
            try lab.ip("route change 192.0.2.2/32 dev va mtu 9000")
            lab.expect("no more than the device's") { $0.mtu == 1400 }
        }
    }

    @Test(
        "has the MTU that ICMP taught the kernel, once it is told to look",
        .enabled(if: ExternalTool.isAvailable("ping", package: "iputils-ping")))
    func learnedMTU() async throws {
        try await UnderlayLab.with { lab in
            // A private /run, where ip keeps the names of namespaces.
            try check(mount("none", "/run", "tmpfs", 0, nil), "mount a private /run")
            for arguments in [
                "netns add router", "link set vb netns router",
                "-n router link add wa mtu 1200 type veth peer name wb",
                "-n router link set wa up", "-n router link set wb up",
                "-n router link set vb up", "-n router address add 192.0.2.254/24 dev vb",
                "-n router address add 198.51.100.1/24 dev wa",
                "netns exec router sysctl -q -w net.ipv4.ip_forward=1",
                "route add 198.51.100.0/24 via 192.0.2.254",
            ] { try lab.ip(arguments) }
            try lab.watch([("beta", "192.0.2.1", "198.51.100.2")])
            lab.expect("the device's") { $0.mtu == 1500 }
            _ = try ChildProcess.run(
                ["ping", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "198.51.100.2"],
                timeout: .seconds(5))
            lab.refresh()
            lab.expect("the path's") { $0.mtu == 1200 }
        }
    }

    @Test("goes down with its device, which the reason names, and comes back with it")
    func device() async throws {
        try await UnderlayLab.with { lab in
            for path in [v4, v6] {
                try lab.watch([path])
                lab.expectUp()
                try lab.ip("link set vb down")
                lab.expectDown("device va has no carrier")
                try lab.ip("link set vb up")
                lab.expectUp()
                try lab.ip("link set va down")
                lab.expectDown("device va is down: 'ip link set va up'")
                #expect(lab.state(of: "beta")?.device == "va")
                try lab.ip("link set va up")
                // IPv6 addresses went with it.
                try lab.ip("address add 2001:db8::1/64 dev va nodad")
                lab.expectUp()
            }
            try lab.ip("link delete va")
            lab.expectDown("address 2001:db8::1 is not on this host")
        }
    }

    @Test("is down where a route says that there is no way, and says which")
    func deadEnds() async throws {
        try await UnderlayLab.with { lab in
            try lab.watch([v4, ("gamma", "2001:db8::1", "2001:db8::2")])
            for (type, words) in [
                ("blackhole", "a blackhole"), ("unreachable", "unreachable"),
                ("prohibit", "prohibited"),
            ] {
                try lab.ip("route add \(type) 192.0.2.2/32")
                try lab.ip("route add \(type) 2001:db8::2/128 metric 1")
                lab.expectDown("the route to 192.0.2.2 is \(words): 'ip route show type \(type)'")
                lab.expectDown(
                    "the route to 2001:db8::2 is \(words): 'ip -6 route show type \(type)'", "gamma"
                )
                try lab.ip("route delete \(type) 192.0.2.2/32")
                try lab.ip("route delete \(type) 2001:db8::2/128")
                lab.expectUp()
                lab.expectUp("gamma")
            }
        }
    }

    @Test("follows policy rules")
    func rules() async throws {
        try await UnderlayLab.with { lab in
            try lab.ip("route add blackhole default table 77")
            try lab.watch([v4])
            lab.expectUp()
            try lab.ip("rule add from 192.0.2.1 to 192.0.2.2 table 77 pref 10")
            lab.expectDown("the route to 192.0.2.2 is a blackhole")
        }
    }

    @Test("stays up when its next hop does not answer, and tells it")
    func neighbour() async throws {
        try await UnderlayLab.with { lab in
            try lab.watch([v4])
            lab.expectUp()
            for state in ["failed", "permanent", "stale"] {
                try lab.ip("neigh replace 192.0.2.2 dev va lladdr 02:00:00:00:00:02 nud \(state)")
                #expect(soon { lab.state(of: "beta")?.neighbour == state }, "\(state)")
                #expect(lab.state(of: "beta")?.isUp == true)
            }
            let calls = lab.reports.calls.withLock { $0.count }
            for _ in 0..<50 {
                for state in ["stale", "failed"] {
                    try lab.ip(
                        "neigh replace 192.0.2.2 dev va lladdr 02:00:00:00:00:02 nud \(state)")
                }
            }
            let storm = lab.reports.calls.withLock { $0.count } - calls
            #expect(storm < 20, "a hundred changes in \(storm) reports")
        }
    }

    @Test("between addresses of different versions is down with the reason")
    func versions() async throws {
        try await UnderlayLab.with { lab in
            try lab.watch([("beta", "192.0.2.1", "2001:db8::2")])
            lab.expectDown("192.0.2.1 and 2001:db8::2 are of different IP versions")
        }
    }

    @Test("costs little beside a hundred others")
    func cost() async throws {
        try await UnderlayLab.with { lab in
            for last in 101..<201 {
                try lab.ip("neigh add 192.0.2.\(last) dev va lladdr 02:00:00:00:00:02")
            }
            let paths = (101..<201).map {
                UnderlayPath(
                    name: "peer-\($0)", local: IPAddress("192.0.2.1")!,
                    remote: IPAddress("192.0.2.\($0)")!)
            }
            let evaluator = PathEvaluator(socket: try NetlinkSocket())
            #expect(try evaluator.evaluate(paths).filter(\.isUp).count == 100)
            let clock = ContinuousClock()
            let rounds = 20
            let whole = try clock.measure {
                for _ in 0..<rounds { _ = try evaluator.evaluate(paths) }
            }
            let neighbours = try clock.measure {
                for _ in 0..<rounds { _ = try evaluator.renewNeighbours() }
            }
            print("100 paths: \(whole / rounds) each time, \(neighbours / rounds) for neighbours")
            #expect(whole / rounds < .milliseconds(50))
        }
    }
}

@Suite("The schedule of looking at the underlay")
struct UnderlayScheduleTests {
    private let start = ContinuousClock.now

    /// A schedule whose first evaluation took a millisecond and was over at `start`.
    private func fresh() -> EvaluationSchedule {
        var schedule = EvaluationSchedule(now: start - .milliseconds(1))
        #expect(schedule.next.scope == .everything)
        #expect(schedule.next.time == start - .milliseconds(1), "at once")
        schedule.finish(
            .everything, start: start - .milliseconds(1), now: start, succeeded: true)
        return schedule
    }

    @Test("lets a burst join its first event")
    func burst() {
        var schedule = fresh()
        let event = start + .seconds(1)
        for place in 0..<10 { schedule.note(.routes, now: event + .milliseconds(place)) }
        #expect(schedule.next.scope == .everything)
        #expect(schedule.next.time == event + EvaluationSchedule.delay)
    }

    @Test("keeps neighbours waiting, but not what comes with them")
    func neighbours() {
        var schedule = fresh()
        let event = start + .seconds(1)
        schedule.note(.neighbours, now: event)
        schedule.note(.neighbours, now: event + .milliseconds(100))
        #expect(schedule.next.scope == .neighbours)
        #expect(schedule.next.time == event + EvaluationSchedule.neighbourDelay)
        schedule.note([.neighbours, .links], now: event + .milliseconds(110))
        #expect(schedule.next.scope == .everything)
        #expect(schedule.next.time == event + .milliseconds(110) + EvaluationSchedule.delay)
    }

    @Test("spends a tenth of the time at most, whatever is asked")
    func rest() {
        var schedule = fresh()
        schedule.request(now: start)
        #expect(schedule.next.time == start + .milliseconds(9))
        schedule.request(now: start + .seconds(1))
        #expect(schedule.next.time == start + .milliseconds(9), "asked for once is enough")
    }

    @Test("comes back by itself: soon after a failure, late otherwise")
    func period() {
        var schedule = fresh()
        #expect(schedule.next.scope == .everything)
        #expect(schedule.next.time == start + EvaluationSchedule.period)
        schedule.note(.neighbours, now: start)
        schedule.finish(.neighbours, start: start, now: start, succeeded: true)
        #expect(schedule.next.time == start + EvaluationSchedule.period, "neighbours are not all")
        schedule.finish(.neighbours, start: start, now: start, succeeded: false)
        #expect(schedule.next.scope == .everything)
        #expect(schedule.next.time == start + EvaluationSchedule.retryDelay)
    }
}
