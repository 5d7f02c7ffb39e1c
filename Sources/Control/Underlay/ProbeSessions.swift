// What probing tells of tunnels. Each has one BFD session, whose three states make one of three
// answers:
//
//   unprobed   the session has never been up, or the peer said that it stopped probing: it may be a
//              VTEP that knows no BFD, so nothing follows from its silence (RFC 5882 section 4.2)
//   up         packets pass both ways
//   down       they did, and do not any more
//
// A peer may come back from a crash with probing switched off, and would then be down for ever. So when
// frames of its tenants arrive over a tunnel that has been down for a while, without a probe among
// them, the tunnel is unprobed again.
//
// A tunnel that is taken out says so to its peer for three seconds (RFC 5880 section 6.8.16); a switch
// that ends does not, so that its peers find it down.
// Pure, like the sessions. Cost: linear in the tunnels at each call.

import Wire

/// What probing says of a tunnel.
enum ProbeState: String, Sendable {
    case unprobed
    case up
    case down
}

struct ProbeReport: Equatable, Sendable {
    var tunnel: String
    var state: ProbeState
    /// Since when it is in this state.
    var since: ContinuousClock.Instant
    /// When the last probe of the peer's arrived.
    var lastHeard: ContinuousClock.Instant?
}

struct ProbeSessions {
    typealias Instant = ContinuousClock.Instant

    /// How long a peer that is back may take until its first probe.
    static let returnTime = BFDSession.slowInterval * 3

    private struct Entry {
        var session: BFDSession
        var report: ProbeReport
    }

    private struct Farewell {
        var session: BFDSession
        let end: Instant
    }

    private var interval: Duration?
    private var entries: [String: Entry] = [:]
    private var farewells: [String: Farewell] = [:]
    private var packets: [(tunnel: String, packet: BFDControl)] = []
    private var changes: [ProbeReport] = []

    /// Probes these tunnels and no others. Another interval begins all sessions anew; meanwhile the
    /// tunnels are unprobed, at both ends.
    mutating func set(
        _ tunnels: Set<String>, interval: Duration, now: Instant,
        using random: inout some RandomNumberGenerator
    ) {
        let restarts = self.interval != interval
        self.interval = interval
        for (name, entry) in entries where restarts || !tunnels.contains(name) {
            entries[name] = nil
            // A peer that was never heard has nothing to forget.
            guard entry.session.lastHeard != nil else { continue }
            var session = entry.session
            session.disable(now: now)
            if let packet = session.advance(now: now, using: &random) {
                packets.append((name, packet))
            }
            farewells[name] = Farewell(session: session, end: now + Self.returnTime)
        }
        for name in tunnels where entries[name] == nil {
            farewells[name] = nil
            let report = ProbeReport(tunnel: name, state: .unprobed, since: now)
            // Spread over the interval, so that a hundred do not begin together.
            let start = now + interval * Double.random(in: 0...1, using: &random)
            entries[name] = Entry(
                session: BFDSession(
                    discriminator: .random(in: 1...UInt32.max, using: &random),
                    interval: interval, start: start),
                report: report)
            changes.append(report)
        }
    }

    /// A probe came by a tunnel; false when it is not for our session.
    @discardableResult
    mutating func receive(_ packet: BFDControl, tunnel: String, now: Instant) -> Bool {
        guard entries[tunnel]?.session.receive(packet, now: now) == true else { return false }
        judge(tunnel, now)
        return true
    }

    /// Forgives tunnels that are down and yet carry a tenant's frames.
    ///
    /// - Parameter last: when a frame last came by a tunnel, a probe or a tenant's.
    mutating func noteTraffic(_ last: (String) -> Instant?, now: Instant) {
        for (tunnel, entry) in entries where entry.report.state == .down {
            let silentSince = max(entry.report.since, entry.session.lastHeard ?? entry.report.since)
            guard let time = last(tunnel), time > silentSince + Self.returnTime else { continue }
            change(tunnel, to: .unprobed, now)
        }
    }

    /// When `advance` has something to do next if nothing else is called before; nil: never.
    var nextTime: Instant? {
        (entries.values.map(\.session.nextTime) + farewells.values.map(\.session.nextTime))
            .compactMap { $0 }.min()
    }

    /// The packets that are due, and the states that changed since the last call.
    mutating func advance(
        now: Instant, using random: inout some RandomNumberGenerator
    ) -> (packets: [(tunnel: String, packet: BFDControl)], changes: [ProbeReport]) {
        defer { (packets, changes) = ([], []) }
        for name in Array(entries.keys) {
            if let packet = entries[name]?.session.advance(now: now, using: &random) {
                packets.append((name, packet))
            }
            judge(name, now)
        }
        for (name, farewell) in farewells {
            guard now < farewell.end else {
                farewells[name] = nil
                continue
            }
            if let packet = farewells[name]?.session.advance(now: now, using: &random) {
                packets.append((name, packet))
            }
        }
        return (packets, changes)
    }

    /// What is known of a tunnel; nil when it is not probed.
    func report(of tunnel: String) -> ProbeReport? { entries[tunnel]?.report }

    /// Brings the report in line with the session.
    private mutating func judge(_ tunnel: String, _ now: Instant) {
        guard let entry = entries[tunnel] else { return }
        entries[tunnel]?.report.lastHeard = entry.session.lastHeard
        if entry.session.state == .up {
            change(tunnel, to: .up, now)
        } else if entry.report.state != .unprobed {
            change(tunnel, to: entry.session.remoteState == .adminDown ? .unprobed : .down, now)
        }
    }

    private mutating func change(_ tunnel: String, to state: ProbeState, _ now: Instant) {
        guard var report = entries[tunnel]?.report, report.state != state else { return }
        report.state = state
        report.since = now
        entries[tunnel]?.report = report
        changes.append(report)
    }
}
