import Dataplane
import Wire

/// Which loop probes to send when, and which of those that come back to believe.
///
/// Each probe has a random serial number, and only one that was sent within ``patience`` and comes
/// back as it was sent is believed: whoever sees a probe may bring back that one, and so show a loop
/// through his own port, but nobody can make up one of another's port.
///
/// A single probe gets lost in the storm that it is to explain; a suspected port is therefore asked
/// ``burstCount`` times, ``burstPause`` apart, until an answer has come.
///
/// A value, for one thread; pure but for the random numbers.
struct LoopProber {
    /// A loop that was shown: where the probe left, and where it came back.
    struct Loop: Hashable {
        var port: UInt16
        var domain: UInt16
        var ingress: UInt16
        var ingressDomain: UInt16

        /// The same loop, whichever way round it was found.
        var canonical: Loop {
            ingress < port
                ? Loop(port: ingress, domain: ingressDomain, ingress: port, ingressDomain: domain)
                : self
        }
    }

    private struct Place: Hashable {
        var port: UInt16
        var domain: UInt16
    }

    private struct Burst {
        var left: Int
        var next: UInt64
    }

    private struct Sent {
        var place: Place
        var time: UInt64
    }

    static let patience: UInt64 = 10_000_000_000
    static let burstCount = 40
    static let burstPause: UInt64 = 20_000_000
    /// Probes that are remembered; with more under way the oldest are no longer believed.
    static let sentLimit = 65_536

    let instance: UInt64
    private var bursts: [Place: Burst] = [:]
    private var sent: [UInt32: Sent] = [:]
    /// Serials in the order of sending.
    private var order: [UInt32] = []
    private var told: [Loop: UInt64] = [:]

    init(instance: UInt64) { self.instance = instance }

    /// Whether probes are still to be sent.
    var isBusy: Bool { !bursts.isEmpty }

    /// Asks once, or often where a probe may get lost.
    mutating func ask(port: UInt16, domain: UInt16, times: Int = 1, now: UInt64) {
        let place = Place(port: port, domain: domain)
        let known = bursts[place]
        bursts[place] = Burst(left: max(times, known?.left ?? 0), next: known?.next ?? now)
    }

    /// The probes that are due.
    mutating func due(now: UInt64) -> [LoopProbe] {
        var probes: [LoopProbe] = []
        for (place, burst) in bursts where burst.next <= now {
            var serial = UInt32.random(in: .min ... .max)
            while sent[serial] != nil { serial &+= 1 }
            sent[serial] = Sent(place: place, time: now)
            order.append(serial)
            probes.append(
                LoopProbe(
                    instance: instance, serial: serial, port: place.port, domain: place.domain))
            bursts[place] =
                burst.left > 1
                ? Burst(left: burst.left - 1, next: now + LoopProber.burstPause) : nil
        }
        forget(now: now)
        return probes
    }

    private mutating func forget(now: UInt64) {
        var gone = 0
        for serial in order {
            let isOld = sent[serial].map { $0.time + LoopProber.patience < now } ?? true
            guard isOld || order.count - gone > LoopProber.sentLimit else { break }
            sent[serial] = nil
            gone += 1
        }
        if gone > 0 { order.removeFirst(gone) }
    }

    /// Judges a probe that came back; nil for one that was not sent like this lately.
    mutating func returned(_ arrival: LoopReturn) -> Loop? {
        let probe = arrival.probe
        guard probe.instance == instance, let known = sent[probe.serial],
            known.place == Place(port: probe.port, domain: probe.domain),
            arrival.time <= known.time + LoopProber.patience
        else { return nil }
        bursts[known.place] = nil
        bursts[Place(port: arrival.ingress, domain: arrival.domain)] = nil
        return Loop(
            port: probe.port, domain: probe.domain, ingress: arrival.ingress,
            ingressDomain: arrival.domain)
    }

    /// Whether a loop is news: not told within the last ten seconds.
    mutating func isNews(_ loop: Loop, now: UInt64) -> Bool {
        told = told.filter { $0.value + LoopProber.patience > now }
        guard told[loop.canonical] == nil else { return false }
        told[loop.canonical] = now
        return true
    }

    /// Whether a loop between these ports was told of in the last ten seconds.
    func hasLoop(_ pair: MoveMonitor.Pair, now: UInt64) -> Bool {
        told.contains {
            $0.value + LoopProber.patience > now
                && Set([$0.key.port, $0.key.ingress]).isSubset(of: [pair.first, pair.second])
        }
    }
}
