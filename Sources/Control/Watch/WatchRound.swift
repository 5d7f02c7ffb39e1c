import ControlAPI
import Dataplane
import Ports
import Wire

/// What the watch's thread carries from one look to the next.
///
/// Theory of operation
///
/// A look takes what the FDB's owner tells of addresses, then what hosts say of themselves, then loop
/// probes that came back, and judges. The order matters: a station is known before what it says is
/// taken up. A look takes at most ``noticeLimit`` and ``announcementLimit``; what the rings had no
/// room for is lost to the watch, and to nobody else.
struct WatchRound {
    private static let second: UInt64 = 1_000_000_000
    private static let noticeLimit = 8192
    private static let announcementLimit = 1024
    /// The same finding about an address is told this seldom.
    private static let findingPause = 10 * second

    let fabric: Fabric
    let journal: EventJournal
    var names = WatchedNames()
    /// Ports as they were when those that came up were last asked.
    private var asked: [UInt16: WatchedNames.Place] = [:]
    /// Of the snapshot in force when the names were taken.
    var generation: UInt64 = .max
    private var prober: LoopProber
    private var moves = MoveMonitor()
    private var drops = DropMonitor()
    private var nextSecond: UInt64
    private var lastSecond: UInt64
    private var bursts: UInt64 = 0
    private var nextPeriodicProbe: UInt64 = 0
    private var displaced: UInt64 = 0
    private var displacedTime: UInt64 = 0
    /// Addresses learned in this second, by port.
    private var learned: [UInt16: Int] = [:]
    private var told: [String: UInt64] = [:]
    private var alternations: [(finding: MoveMonitor.Finding, due: UInt64)] = []

    init(fabric: Fabric, journal: EventJournal, instance: UInt64, now: UInt64) {
        self.fabric = fabric
        self.journal = journal
        prober = LoopProber(instance: instance)
        nextSecond = now + WatchRound.second
        lastSecond = now
    }

    /// Whether the next look should come soon.
    var isBusy: Bool { prober.isBusy || !alternations.isEmpty }

    // MARK: The switch has changed

    /// Takes up what the switch is now: stations of what is gone are forgotten, and ports that came up
    /// are asked whether they loop.
    ///
    /// - Parameter isComplete: false in the middle of a change, when the FDB may not know the switch's
    ///   own address in a new network yet: a probe that came back would be a host's.
    mutating func take(
        _ new: WatchedNames, isComplete: Bool, now: UInt64, _ stations: inout StationTable
    ) {
        for (number, place) in names.places where new.places[number]?.name != place.name {
            stations.forget(port: number)
            drops.forget(port: number)
        }
        for (domain, name) in names.networks where new.networks[domain] != name {
            stations.forget(domain: domain)
        }
        names = new
        guard isComplete else { return }
        for (number, place) in new.places {
            let known = asked[number]
            let before = known?.name == place.name ? Set(known?.probedDomains ?? []) : []
            for domain in place.probedDomains where !before.contains(domain) {
                prober.ask(port: number, domain: domain, now: now)
            }
        }
        asked = new.places
    }

    // MARK: A look

    /// Takes what has come and judges it; the loops that were shown.
    mutating func look(now: UInt64, _ stations: inout StationTable) -> [LoopProber.Loop] {
        let moved = takeNotices(&stations)
        takeAnnouncements(&stations)
        var loops = takeProbes(now: now)
        if !moved.isEmpty {
            for finding in moves.judge(moved, now: now) { tell(finding, now: now) }
        }
        tellAlternations(now: now)
        if now >= nextSecond { readCounters(now: now) }
        probePeriodically(now: now)
        for probe in prober.due(now: now) { send(probe) }
        // One of each: many probes come back from one loop.
        loops = Array(Set(loops))
        return loops
    }

    private mutating func takeNotices(_ stations: inout StationTable) -> [AddressNotice] {
        let ring = fabric.links[0].notices
        var moved: [AddressNotice] = []
        for _ in 0..<WatchRound.noticeLimit {
            guard let notice = ring.pop() else { break }
            let key = FDBKey(word: notice.key)
            // Its port or its network may be gone by now.
            guard names.places[notice.port] != nil, names.networks[key.domain] != nil else {
                continue
            }
            stations.heard(key, port: notice.port, time: notice.time)
            switch notice.kind {
            case .learned: learned[notice.port, default: 0] += 1
            case .moved: moved.append(notice)
            }
        }
        return moved
    }

    private mutating func takeAnnouncements(_ stations: inout StationTable) {
        var conflicts: [StationTable.Conflict] = []
        let names = names
        for link in fabric.links {
            for _ in 0..<WatchRound.announcementLimit {
                let wasThere = link.announcements.consume { record, bytes in
                    guard names.places[record.port] != nil, names.networks[record.domain] != nil,
                        let sender = EthernetView(bytes.bytes)?.source
                    else { return }
                    for claim in StationClaim.parse(bytes.bytes) {
                        let conflict = stations.take(
                            claim, from: sender, domain: record.domain, port: record.port,
                            time: record.time)
                        if let conflict { conflicts.append(conflict) }
                    }
                }
                guard wasThere else { break }
            }
        }
        for conflict in conflicts { tell(conflict) }
    }

    private mutating func takeProbes(now: UInt64) -> [LoopProber.Loop] {
        var loops: [LoopProber.Loop] = []
        for link in fabric.links {
            while let arrival = link.returnedProbes.pop() {
                guard let loop = prober.returned(arrival), names.places[loop.port] != nil,
                    names.places[loop.ingress] != nil
                else { continue }
                loops.append(loop)
                if prober.isNews(loop, now: now) { tell(loop) }
            }
        }
        return loops
    }

    private mutating func probePeriodically(now: UInt64) {
        guard let seconds = names.loopProbeSeconds, now >= nextPeriodicProbe else { return }
        nextPeriodicProbe = now + UInt64(seconds) * WatchRound.second
        for (number, place) in names.places {
            for domain in place.probedDomains { prober.ask(port: number, domain: domain, now: now) }
        }
    }

    private func send(_ probe: LoopProbe) {
        fabric.links[Int(probe.port) % fabric.links.count].inject(
            InjectedFrame(egress: probe.port, domain: probe.domain, bytes: probe.frame))
    }

    private mutating func ask(_ pair: MoveMonitor.Pair, times: Int, now: UInt64) {
        for number in [pair.first, pair.second] {
            guard let place = names.places[number], place.probedDomains.contains(pair.domain)
            else { continue }
            prober.ask(port: number, domain: pair.domain, times: times, now: now)
        }
    }

    // MARK: Counters

    /// Once a second: drops that jump, and an FDB that gives addresses up. Where no worker has
    /// switched anything nothing has changed.
    private mutating func readCounters(now: UInt64) {
        let since = lastSecond
        lastSecond = now
        nextSecond = now + WatchRound.second
        defer { learned = [:] }
        let bursts = fabric.links.reduce(0) { $0 &+ $1.bursts.load(ordering: .relaxed) }
        guard bursts != self.bursts else { return }
        self.bursts = bursts
        for number in names.counted.keys {
            // A held port drops everything, as it should.
            if names.places[number]?.isHeld == true { continue }
            for reason in DropReason.allCases where reason != .none {
                let spike = drops.read(
                    DropMonitor.Place(port: number, reason: reason),
                    count: fabric.value(reason, port: number), time: now, since: since)
                if let spike { tell(spike) }
            }
        }
        readFDB(now: now)
    }

    private mutating func readFDB(now: UInt64) {
        let totals = fabric.fdb.totals
        let count = totals.evicted &+ totals.refused
        guard count != displaced else { return }
        // News is what begins; what goes on for hours is told once.
        let isNews = displacedTime == 0 || now &- displacedTime > 60 * WatchRound.second
        let difference = count &- displaced
        displaced = count
        displacedTime = now
        guard isNews else { return }
        let busiest = learned.max { $0.value < $1.value }?.key
        let port = busiest.flatMap { names.name($0) }
        let isFull = fabric.fdb.learnedCount >= fabric.fdb.limit
        journal.tell(
            SwitchEvent(
                .fdbFull, .warning, port: port,
                (isFull
                    ? "the FDB is at its limit of \(fabric.fdb.limit) addresses"
                    : "a port is at its limit of addresses")
                    + ": \(difference) \(difference == 1 ? "was" : "were") forgotten or refused"
                    + (busiest.map { "; most new ones came from \(names.place($0))" } ?? ""),
                remedy: "'heddle fdb list --port PORT' shows whose they are; a port's limit is "
                    + "'fdb-limit', or the switch's 'port-fdb-limit', the switch's is 'fdb-limit'",
                identity: isFull ? "switch" : "port"))
    }

    // MARK: Telling

    private mutating func mayTell(_ what: String, _ now: UInt64) -> Bool {
        if told.count > 1024 { told = told.filter { $0.value > now } }
        guard told.count <= 4096, told[what].map({ $0 <= now }) ?? true else { return false }
        told[what] = now + WatchRound.findingPause
        return true
    }

    private mutating func tell(_ finding: MoveMonitor.Finding, now: UInt64) {
        switch finding {
        case .moved(let mac, let domain, let from, let to):
            tellMove("\(mac)", "", identity: nil, domain, from: from, to: to)
        case .movedTogether(let count, let domain, let from, let to):
            tellMove(
                "\(count) addresses", " at once", identity: "several", domain, from: from, to: to)
        case .suspicion(let pair): ask(pair, times: 3, now: now)
        case .alternation:
            // The probes that the suspicion sent may still explain it.
            alternations.append((finding, now + WatchRound.second / 2))
        case .storm(let pair, let count):
            ask(pair, times: LoopProber.burstCount, now: now)
            guard let network = names.networks[pair.domain], !prober.hasLoop(pair, now: now)
            else { return }
            journal.tell(
                SwitchEvent(
                    .macStorm, .warning, port: names.name(pair.second),
                    otherPort: names.name(pair.first), network: network,
                    tunnel: names.tunnel(among: pair.second, pair.first),
                    "addresses of network '\(network)' keep moving between "
                        + "\(names.place(pair.first)) and \(names.place(pair.second)): \(count) "
                        + "moves within a second; looking for a loop",
                    remedy: "an event 'loop' that follows names it; without one look for one "
                        + "address at two hosts", identity: "storm"))
        }
    }

    private func tellMove(
        _ what: String, _ manner: String, identity: String?, _ domain: UInt16, from: UInt16,
        to: UInt16
    ) {
        guard let network = names.networks[domain] else { return }
        journal.tell(
            SwitchEvent(
                .macMove, .notice, port: names.name(to), otherPort: names.name(from),
                network: network, tunnel: names.tunnel(among: to, from),
                "\(what) of network '\(network)' moved from \(names.place(from)) to "
                    + names.place(to) + manner, identity: identity))
    }

    private mutating func tellAlternations(now: UInt64) {
        let due = alternations.filter { $0.due <= now }
        guard !due.isEmpty else { return }
        alternations.removeAll { $0.due <= now }
        for case (.alternation(let mac, let pair, let count), _) in due
        where !prober.hasLoop(pair, now: now) {
            guard let network = names.networks[pair.domain], mayTell("\(mac) \(pair)", now) else {
                continue
            }
            journal.tell(
                SwitchEvent(
                    .duplicateAddress, .warning, port: names.name(pair.second),
                    otherPort: names.name(pair.first), network: network,
                    tunnel: names.tunnel(among: pair.second, pair.first),
                    "\(mac) of network '\(network)' is by turns behind \(names.place(pair.first)) "
                        + "and \(names.place(pair.second)): \(count) moves; two hosts have it",
                    remedy: "give one of the two another MAC address; 'static:' pins the address "
                        + "to the port where it belongs", identity: "\(mac)"))
        }
    }

    private mutating func tell(_ conflict: StationTable.Conflict) {
        guard let network = names.networks[conflict.domain],
            mayTell("\(conflict.domain) \(conflict.address)", WorkerThread.monotonicNanoseconds())
        else { return }
        let pair = [conflict.holder, conflict.claimant].sorted()
        journal.tell(
            SwitchEvent(
                .duplicateAddress, .warning, port: names.name(conflict.claimantPort),
                otherPort: names.name(conflict.holderPort), network: network,
                tunnel: names.tunnel(among: conflict.claimantPort, conflict.holderPort),
                "\(conflict.address) of network '\(network)' is "
                    + (conflict.isRequest ? "asked for" : "claimed")
                    + " by \(conflict.claimant) at \(names.place(conflict.claimantPort)) and was "
                    + "claimed by \(conflict.holder) at \(names.place(conflict.holderPort)) "
                    + "\(conflict.holderAge / WatchRound.second) s before",
                remedy: "give one of the two another address; a service address that failed over "
                    + "moves like this once", identity: "\(conflict.address) \(pair)"))
    }

    private func tell(_ loop: LoopProber.Loop) {
        guard let network = names.networks[loop.domain],
            let otherNetwork = names.networks[loop.ingressDomain]
        else { return }
        let sentence: String
        if loop.port == loop.ingress {
            sentence =
                "a loop behind \(names.place(loop.port)): what the switch sends there in network "
                + "'\(network)' comes back"
        } else {
            sentence =
                "a loop: \(names.place(loop.port)) and \(names.place(loop.ingress)) of network "
                + "'\(network)' are connected outside the switch"
        }
        let crossing =
            network == otherNetwork
            ? "" : "; the way back leads into network '\(otherNetwork)': the two are joined there"
        journal.tell(
            SwitchEvent(
                .loop, .error, port: names.name(loop.port),
                otherPort: loop.port == loop.ingress ? nil : names.name(loop.ingress),
                network: network, tunnel: names.tunnel(among: loop.port, loop.ingress),
                sentence + crossing,
                remedy: names.loopHoldSeconds == nil
                    ? "cut one of the connections; 'switch: {loop-hold: 30s}' in the topology "
                        + "takes a port of a loop down by itself"
                    : "cut one of the connections"))
    }

    private func tell(_ spike: DropMonitor.Spike) {
        let reason = spike.place.reason
        guard let name = names.counted[spike.place.port] else { return }
        journal.tell(
            SwitchEvent(
                .dropSpike, .warning, port: name,
                tunnel: names.places[spike.place.port]?.isTunnel == true ? name : nil,
                "'\(name)' drops \(Int(spike.rate)) frames a second as \(reason.name) "
                    + "(\(Int(spike.mean)) over the minute before): \(reason.sentence)",
                remedy: reason.remedy, identity: reason.name))
    }
}
