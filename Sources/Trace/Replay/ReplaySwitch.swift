import Dataplane

/// A switch on paper that frames of a capture are replayed through, and what it makes of each as a
/// number of a ``FateTable``.
struct ReplaySwitch {
    let offline: OfflineSwitch
    private let replay: Replay
    private let names: SwitchNames
    /// By egress port; -1 until it was needed.
    private var forwards: [Int32]
    /// By ingress port and domain, for packets that fit all tunnels.
    private var floods: [UInt32: Int32] = [:]
    private var lastFlood: (key: UInt32, fate: Int32) = (.max, 0)
    private let tunnelLimit: UInt32

    init(_ offline: OfflineSwitch) {
        self.offline = offline
        replay = offline.replay
        names = offline.names
        forwards = [Int32](repeating: -1, count: max(offline.replay.snapshot.portCount, 1))
        tunnelLimit = offline.replay.smallestTunnelLimit
    }

    /// The fate of a frame, and whether its destination was a single address that is not known.
    mutating func fate(
        _ head: UnsafeRawBufferPointer, originalByteCount: UInt32, from ingress: Ingress,
        isSuperFrame: Bool, at time: UInt64, in table: inout FateTable
    ) -> (number: Int32, isUnknown: Bool) {
        replay.advance(toNanoseconds: time)
        let decision = replay.decide(
            head, originalByteCount: originalByteCount, ingress: ingress.port,
            domain: ingress.domain, isSuperFrame: isSuperFrame)
        switch decision.verdict.action {
        case .forward:
            let refusal = replay.refusal(decision)
            guard refusal == .none else { return (table.number(of: refusal), false) }
            let place = Int(decision.verdict.egress)
            if forwards[place] < 0 {
                forwards[place] = table.number(
                    of: .forwarded(names.name(of: decision.verdict.egress)))
            }
            return (forwards[place], false)
        case .flood:
            // The first bit of the destination is the group bit.
            return (flood(decision, ingress.port, &table), head[0] & 1 == 0)
        case .consume: return (table.number(of: .consumed), false)
        case .drop: return (table.number(of: decision.verdict.reason), false)
        }
    }

    private mutating func flood(
        _ decision: Replay.Decision, _ ingress: UInt16, _ table: inout FateTable
    ) -> Int32 {
        let key = UInt32(ingress) << 16 | UInt32(decision.verdict.domain)
        let isOrdinary = decision.packetByteCount <= tunnelLimit
        if isOrdinary {
            if lastFlood.key == key { return lastFlood.fate }
            if let known = floods[key] {
                lastFlood = (key, known)
                return known
            }
        }
        let fate: Int32
        if replay.floodsNowhere(decision, ingress: ingress) {
            fate = table.number(of: .floodNowhere)
        } else {
            let ports = replay.flooded(decision, ingress: ingress)
            fate = table.number(of: .flooded(ports.map { names.name(of: $0) }.sorted()))
        }
        if isOrdinary { floods[key] = fate }
        return fate
    }

    /// Where frames of a capture's interface come in.
    struct Ingress {
        var port: UInt16
        /// 0 for a port.
        var domain: UInt16
    }

    enum Entrance {
        case ingress(Ingress)
        /// No port or tunnel is called so.
        case noPort
        /// A tunnel of several networks, whose inner frames do not say theirs.
        case ambiguous
    }

    func entrance(named name: String) -> Entrance {
        guard let port = names.number(of: name) else { return .noPort }
        guard let domain = try? names.ingressDomain(port, network: nil) else { return .ambiguous }
        return .ingress(Ingress(port: port, domain: domain))
    }
}
