import TestSupport
import Testing
import Wire

@testable import Control

/// Two sessions and what lies between them, on a clock that jumps from event to event.
private struct BFDLab {
    typealias Instant = ContinuousClock.Instant

    /// How one direction treats a packet.
    struct Path {
        var loss = 0.0
        var delay = Duration.milliseconds(1)...Duration.milliseconds(1)
    }

    let start = ContinuousClock.now
    private(set) var now: Instant
    /// Session 0 and session 1.
    var sessions: [BFDSession]
    /// The path from each session to the other.
    var paths = [Path(), Path()]
    private(set) var sent: [[(time: Instant, packet: BFDControl)]] = [[], []]
    /// Every state that each session was in, with when it began.
    private(set) var history: [[(time: Instant, state: BFDControl.State)]]
    private var flying: [(arrival: Instant, to: Int, packet: BFDControl)] = []
    private var random: SeededRandom

    init(seed: UInt64, intervals: [Duration]) {
        random = SeededRandom(seed: seed)
        now = start
        sessions = []
        for interval in intervals {
            sessions.append(
                BFDSession(
                    discriminator: .random(in: 1...UInt32.max, using: &random),
                    interval: interval,
                    start: start + .milliseconds(Int.random(in: 0...200, using: &random))))
        }
        history = [[(start, .down)], [(start, .down)]]
    }

    var isUp: Bool { sessions.allSatisfy { $0.state == .up } }

    /// Lets time pass; ends early when the condition holds after an event.
    mutating func run(for duration: Duration, until condition: (BFDLab) -> Bool = { _ in false }) {
        let end = now + duration
        while !condition(self) {
            let next = (sessions.map(\.nextTime) + flying.map(\.arrival)).compactMap { $0 }.min()
            guard let next, next <= end else {
                now = end
                return
            }
            now = max(now, next)
            step()
        }
    }

    private mutating func step() {
        for packet in flying where packet.arrival <= now {
            _ = sessions[packet.to].receive(packet.packet, now: now)
            note(packet.to)
        }
        flying.removeAll { $0.arrival <= now }
        for place in 0..<2 {
            if let packet = sessions[place].advance(now: now, using: &random) {
                sent[place].append((now, packet))
                let path = paths[place]
                if Double.random(in: 0..<1, using: &random) >= path.loss {
                    let share = Double.random(in: 0...1, using: &random)
                    let delay =
                        path.delay.lowerBound
                        + (path.delay.upperBound - path.delay.lowerBound) * share
                    // Probes of a tunnel are one flow of the underlay, which keeps their order.
                    let latest = flying.filter { $0.to != place }.map(\.arrival).max()
                    flying.append((max(now + delay, latest ?? now), 1 - place, packet))
                }
            }
            note(place)
        }
    }

    private mutating func note(_ place: Int) {
        if sessions[place].state != history[place].last?.state {
            history[place].append((now, sessions[place].state))
        }
    }
}

@Suite("A BFD session")
struct BFDSessionTests {
    private let interval = Duration.milliseconds(200)

    @Test("comes up within two seconds of both ends, whatever the delay", arguments: 0..<50)
    func up(seed: UInt64) {
        var lab = BFDLab(seed: seed, intervals: [interval, interval])
        lab.paths = [
            .init(delay: .zero...(.milliseconds(100))), .init(delay: .zero...(.milliseconds(100))),
        ]
        lab.run(for: .seconds(2)) { $0.isUp }
        #expect(lab.isUp)
        #expect(lab.history.allSatisfy { $0.map(\.state).starts(with: [.down]) })
    }

    @Test("comes up through losses, and stays up without", arguments: 0..<50)
    func loss(seed: UInt64) {
        var lab = BFDLab(seed: seed, intervals: [interval, interval])
        lab.paths = [.init(loss: 0.3), .init(loss: 0.3)]
        lab.run(for: .seconds(60)) { $0.isUp }
        #expect(lab.isUp)
        // A session may be up on the strength of packets that the losses make late.
        lab.paths = [.init(), .init()]
        lab.run(for: .seconds(5))
        let before = lab.history.map(\.count)
        lab.run(for: .seconds(600))
        #expect(lab.isUp)
        #expect(lab.history.map(\.count) == before, "no flapping in ten minutes")
    }

    @Test("never flaps on delays within its patience", arguments: 0..<20)
    func delays(seed: UInt64) {
        var lab = BFDLab(seed: seed, intervals: [interval, interval])
        lab.paths = [
            .init(delay: .zero...(.milliseconds(390))), .init(delay: .zero...(.milliseconds(390))),
        ]
        lab.run(for: .seconds(5)) { $0.isUp }
        #expect(lab.isUp)
        let before = lab.history.map(\.count)
        lab.run(for: .seconds(300))
        #expect(lab.history.map(\.count) == before)
    }

    @Test(
        "notices silence within three intervals, and the other end learns of it", arguments: 0..<50)
    func silence(seed: UInt64) throws {
        var lab = BFDLab(seed: seed, intervals: [interval, interval])
        lab.run(for: .seconds(10))
        #expect(lab.isUp)
        // Nothing from 0 reaches 1 any more.
        lab.paths[0].loss = 1
        let cut = lab.now
        lab.run(for: .seconds(2))
        let noticed = try #require(lab.history[1].last { $0.state == .down })
        #expect(noticed.time - cut <= interval * 3 + .milliseconds(1))
        #expect(noticed.time - cut > interval * 2 - .milliseconds(1), "not too soon")
        #expect(lab.sessions[1].diagnostic == .detectionTimeExpired)
        let told = try #require(lab.history[0].last { $0.state == .down })
        #expect(told.time - noticed.time < .milliseconds(5))
        #expect(lab.sessions[0].diagnostic == .neighbourSignalledDown)
        #expect(!lab.sessions.contains { $0.state == .up })

        lab.paths[0].loss = 0
        lab.run(for: .seconds(2)) { $0.isUp }
        #expect(lab.isUp, "and comes back")
    }

    @Test(
        "sends at the longer of both ends' intervals less a quarter at most, slowly until it is up")
    func pace() {
        var lab = BFDLab(seed: 1, intervals: [interval, .milliseconds(500)])
        lab.paths[0].loss = 1
        lab.run(for: .seconds(30))
        for (earlier, later) in zip(lab.sent[1].dropFirst(), lab.sent[1].dropFirst(2)) {
            let gap = later.time - earlier.time
            #expect(gap >= .milliseconds(750) && gap <= .seconds(1), "unanswered")
        }
        lab.paths[0].loss = 0
        lab.run(for: .seconds(5))
        #expect(lab.isUp)
        let settled = lab.now
        lab.run(for: .seconds(30))
        for place in 0..<2 {
            let periodic = lab.sent[place].filter { $0.time > settled && !$0.packet.isFinal }
            #expect(periodic.count > 55)
            for (earlier, later) in zip(periodic, periodic.dropFirst()) {
                let gap = later.time - earlier.time
                #expect(gap >= .milliseconds(375) && gap <= .milliseconds(500))
            }
        }
    }

    @Test("announces its faster interval by a poll, which the other end confirms once")
    func poll() {
        var lab = BFDLab(seed: 2, intervals: [interval, interval])
        lab.run(for: .seconds(10))
        for place in 0..<2 {
            let packets = lab.sent[place].map(\.packet)
            #expect(packets.contains { $0.isPoll && $0.desiredMinimumTransmitInterval == 200_000 })
            #expect(packets.last?.isPoll == false, "confirmed")
            let polls = lab.sent[1 - place].filter(\.packet.isPoll).count
            #expect(packets.filter(\.isFinal).count == polls)
            #expect(!packets.contains { $0.isPoll && $0.isFinal })
            #expect(
                packets.allSatisfy {
                    $0.state == .up || $0.desiredMinimumTransmitInterval == 1_000_000
                })
        }
    }

    @Test("that is switched off says so until it is forgotten, and is not revived")
    func off() {
        var lab = BFDLab(seed: 3, intervals: [interval, interval])
        lab.run(for: .seconds(10))
        lab.sessions[0].disable(now: lab.now)
        lab.run(for: .seconds(5))
        #expect(lab.sessions[0].state == .adminDown)
        #expect(lab.sessions[1].state == .down)
        #expect(lab.sessions[1].remoteState == .adminDown)
        #expect(lab.sent[0].suffix(4).allSatisfy { $0.packet.state == .adminDown })
    }

    @Test("recognises an end that has restarted")
    func restart() {
        var lab = BFDLab(seed: 4, intervals: [interval, interval])
        lab.run(for: .seconds(10))
        lab.sessions[0] = BFDSession(discriminator: 77, interval: interval, start: lab.now)
        lab.run(for: .milliseconds(10))
        #expect(lab.history[1].contains { $0.state == .down && $0.time > lab.start + .seconds(10) })
        lab.run(for: .seconds(2)) { $0.isUp }
        #expect(lab.isUp)
    }

    @Test("passes over packets that are not for it")
    func foreign() {
        var random = SeededRandom(seed: 5)
        let now = ContinuousClock.now
        var session = BFDSession(discriminator: 7, interval: interval, start: now)
        _ = session.advance(now: now, using: &random)
        func packet(_ state: BFDControl.State, your: UInt32) -> BFDControl {
            BFDControl(
                state: state, detectMultiplier: 3, myDiscriminator: 9, yourDiscriminator: your,
                desiredMinimumTransmitInterval: 200_000, requiredMinimumReceiveInterval: 200_000)
        }
        var isTaken = session.receive(packet(.initializing, your: 8), now: now)
        #expect(!isTaken, "another's session")
        var authenticated = packet(.down, your: 0)
        authenticated.isAuthenticated = true
        isTaken = session.receive(authenticated, now: now)
        #expect(!isTaken, "we agreed on no authentication")
        #expect(session.state == .down)
        #expect(session.lastHeard == nil)
        isTaken = session.receive(packet(.down, your: 0), now: now)
        #expect(isTaken)
        #expect(session.state == .initializing)
    }

    @Test("sends nothing of its own to an end that is ready for nothing, but answers it")
    func unreceptive() {
        var random = SeededRandom(seed: 6)
        let now = ContinuousClock.now
        var session = BFDSession(discriminator: 7, interval: interval, start: now)
        var packet = BFDControl(
            state: .initializing, isPoll: true, detectMultiplier: 3, myDiscriminator: 9,
            yourDiscriminator: 7, desiredMinimumTransmitInterval: 200_000,
            requiredMinimumReceiveInterval: 0)
        _ = session.receive(packet, now: now)
        var sent = session.advance(now: now, using: &random)
        #expect(sent?.isFinal == true)
        sent = session.advance(now: now + .milliseconds(599), using: &random)
        #expect(sent == nil)
        packet.isPoll = false
        packet.state = .up
        packet.requiredMinimumReceiveInterval = 50_000
        _ = session.receive(packet, now: now + .milliseconds(599))
        sent = session.advance(now: now + .milliseconds(799), using: &random)
        #expect(sent != nil)
    }

    @Test("takes any packet at any time without a trap", arguments: 0..<20)
    func anything(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var now = ContinuousClock.now
        var session = BFDSession(discriminator: 7, interval: interval, start: now)
        let extremes: [UInt32] = [0, 1, 7, 200_000, .max]
        for _ in 0..<2000 {
            var packet = BFDControl(
                state: [.adminDown, .down, .initializing, .up].randomElement(using: &random)!,
                diagnostic: .random(in: 0...31, using: &random),
                isPoll: .random(using: &random), isFinal: .random(using: &random),
                detectMultiplier: .random(in: 1...255, using: &random),
                myDiscriminator: extremes.dropFirst().randomElement(using: &random)!,
                yourDiscriminator: [0, 7].randomElement(using: &random)!,
                desiredMinimumTransmitInterval: extremes.randomElement(using: &random)!,
                requiredMinimumReceiveInterval: extremes.randomElement(using: &random)!)
            packet.isAuthenticated = Int.random(in: 0..<8, using: &random) == 0
            _ = session.receive(packet, now: now)
            now += .milliseconds(Int.random(in: 0...1000, using: &random))
            if let sent = session.advance(now: now, using: &random) {
                #expect(sent.myDiscriminator == 7)
                #expect(sent.yourDiscriminator != 0 || sent.state == .down)
            }
        }
    }
}
