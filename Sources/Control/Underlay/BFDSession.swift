// One end of a Bidirectional Forwarding Detection session: RFC 5880 section 6.8, asynchronous mode,
// without authentication, demand mode and echo. Pure: it is told the time and what arrived, and says
// what to send and when it wants to be asked again.
//
// The three-way handshake (section 6.2) makes both ends sure that packets pass both ways:
//
//              receives down       receives initializing   receives up       silence
//   down       initializing        up                      down              down
//   init.      initializing        up                      up                down
//   up         down                up                      up                down
//
// Silence is the other end's multiplier times the interval at which it is to send: the longer of what
// it wants to send at and what we are ready to receive at. Each end sends at the longer of its own wish
// and the other's readiness, less up to a quarter by chance, so that ends do not fall into step. Until
// a session is up it sends once a second, however short the interval (section 6.8.3): an unanswered
// probe must not become load. A change of state is sent at once.
//
// Limits: the interval of a session is fixed; another one takes another session. Cost: a few comparisons a
// packet; no allocation.

import Wire

struct BFDSession {
    typealias Instant = ContinuousClock.Instant

    /// Section 4.1.
    enum Diagnostic: UInt8 {
        case none = 0
        case detectionTimeExpired = 1
        case neighbourSignalledDown = 3
        case administrativelyDown = 7
    }

    /// The shortest interval of a session that is not up (section 6.8.3).
    static let slowInterval = Duration.seconds(1)

    private(set) var state = BFDControl.State.down
    private(set) var diagnostic = Diagnostic.none
    /// What the other end last said of itself.
    private(set) var remoteState = BFDControl.State.down
    /// When a packet of this session last arrived.
    private(set) var lastHeard: Instant?

    private let discriminator: UInt32
    private let interval: Duration
    private let detectMultiplier: UInt8
    private var remoteDiscriminator: UInt32 = 0
    private var remoteMinimumReceiveInterval = Self.anyInterval
    private var remoteTransmitInterval = Duration.zero
    private var remoteDetectMultiplier: UInt8 = 0
    /// A change of our interval that the other end has not confirmed (section 6.5).
    private var isPolling = false
    /// The other end waits for a confirmation.
    private var owesFinal = false
    private var transmitTime: Instant

    /// bfd.RemoteMinRxInterval before the other end has named one (section 6.8.1).
    private static let anyInterval = Duration.microseconds(1)

    /// - Parameters:
    ///   - discriminator: our name for the session; not 0, and by chance (section 6.8.1).
    ///   - interval: from packet to packet once the session is up, both ways.
    ///   - start: when the first packet is due.
    init(
        discriminator: UInt32, interval: Duration, detectMultiplier: UInt8 = 3, start: Instant
    ) {
        precondition(discriminator != 0 && detectMultiplier != 0)
        self.discriminator = discriminator
        self.interval = interval
        self.detectMultiplier = detectMultiplier
        transmitTime = start
    }

    /// Takes a packet that came by this session's tunnel; false when it is not this session's
    /// (section 6.8.6).
    mutating func receive(_ packet: BFDControl, now: Instant) -> Bool {
        guard !packet.isAuthenticated,
            packet.yourDiscriminator == 0 || packet.yourDiscriminator == discriminator,
            state != .adminDown
        else { return false }
        lastHeard = now
        remoteDiscriminator = packet.myDiscriminator
        remoteState = packet.state
        remoteMinimumReceiveInterval = .microseconds(packet.requiredMinimumReceiveInterval)
        remoteTransmitInterval = .microseconds(packet.desiredMinimumTransmitInterval)
        remoteDetectMultiplier = packet.detectMultiplier
        if packet.isFinal { isPolling = false }
        switch (state, packet.state) {
        case (.down, .down): enter(.initializing, now)
        case (.down, .initializing), (.initializing, .initializing), (.initializing, .up):
            enter(.up, now)
        case (.initializing, .adminDown), (.up, .adminDown), (.up, .down):
            enter(.down, now, .neighbourSignalledDown)
        default: break
        }
        if packet.isPoll { owesFinal = true }
        transmitTime = min(transmitTime, now + transmitInterval)
        return true
    }

    /// When `advance` has something to do next.
    var nextTime: Instant? {
        // At once: that was in the past.
        if owesFinal { return lastHeard }
        return [detectionTime, sendsPeriodically ? transmitTime : nil].compactMap { $0 }.min()
    }

    /// Ends the session if the other end has been silent for too long, and returns the packet that
    /// is due, if one is.
    mutating func advance(
        now: Instant, using random: inout some RandomNumberGenerator
    ) -> BFDControl? {
        if let detectionTime, now >= detectionTime {
            // It may come back as another (section 6.8.1), and as ready for packets as any.
            remoteDiscriminator = 0
            remoteMinimumReceiveInterval = Self.anyInterval
            enter(.down, now, .detectionTimeExpired)
        }
        if owesFinal {
            owesFinal = false
            // Beside the periodic packets, unless one is due: it is as good as that.
            if now >= transmitTime { schedule(now, &random) }
            return packet(isFinal: true)
        }
        guard sendsPeriodically, now >= transmitTime else { return nil }
        schedule(now, &random)
        return packet(isFinal: false)
    }

    /// Switches the session off for good: from now on it only says so (section 6.8.16), which the
    /// other end does not take for a failure.
    mutating func disable(now: Instant) {
        owesFinal = false
        enter(.adminDown, now, .administrativelyDown)
    }

    /// bfd.DesiredMinTxInterval.
    private var desiredInterval: Duration {
        state == .up ? interval : max(interval, Self.slowInterval)
    }

    private var transmitInterval: Duration {
        max(desiredInterval, remoteMinimumReceiveInterval)
    }

    /// An end that is ready for nothing is sent nothing (section 6.8.7).
    private var sendsPeriodically: Bool { remoteMinimumReceiveInterval != .zero }

    /// When silence ends the session (section 6.8.4); nil while there is nothing to end.
    private var detectionTime: Instant? {
        guard let lastHeard, state == .initializing || state == .up else { return nil }
        return lastHeard + max(interval, remoteTransmitInterval) * Int(remoteDetectMultiplier)
    }

    private mutating func enter(
        _ next: BFDControl.State, _ now: Instant, _ reason: Diagnostic = .none
    ) {
        guard next != state else { return }
        let before = desiredInterval
        state = next
        // The reason of the last failure stays to be read until the session is up again.
        if next == .up || reason != .none { diagnostic = reason }
        // While the session is not up, every packet of the handshake carries the interval.
        isPolling = next == .up && desiredInterval != before
        transmitTime = now
    }

    /// Sets the time of the next periodic packet (section 6.8.7).
    private mutating func schedule(_ now: Instant, _ random: inout some RandomNumberGenerator) {
        let shortest = 0.75
        let longest = detectMultiplier == 1 ? 0.9 : 1
        transmitTime =
            now + transmitInterval * Double.random(in: shortest...longest, using: &random)
    }

    private func packet(isFinal: Bool) -> BFDControl {
        BFDControl(
            state: state, diagnostic: diagnostic.rawValue, isPoll: isPolling && !isFinal,
            isFinal: isFinal, detectMultiplier: detectMultiplier, myDiscriminator: discriminator,
            yourDiscriminator: remoteDiscriminator,
            desiredMinimumTransmitInterval: desiredInterval.wholeMicroseconds,
            requiredMinimumReceiveInterval: interval.wholeMicroseconds)
    }
}

extension Duration {
    fileprivate var wholeMicroseconds: UInt32 {
        UInt32(clamping: Int64((self / .microseconds(1)).rounded()))
    }
}
