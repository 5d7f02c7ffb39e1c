import ControlAPI
import Dataplane
import Topology

/// What the watch needs to know of the switch to name what it sees: a copy, taken when the switch has
/// changed.
struct WatchedNames {
    struct Place {
        var name: String
        var isTunnel: Bool
        /// The host at a tunnel's other end.
        var host: String?
        /// Domains of a port that loop probes are sent in; empty while it is down.
        var probedDomains: [UInt16] = []
        var isHeld = false
        var isAccess = false
    }

    var places: [UInt16: Place] = [:]
    /// Everything that has counters of its own, underlays too.
    var counted: [UInt16: String] = [:]
    var networks: [UInt16: String] = [:]
    var loopHoldSeconds: Int?
    var loopProbeSeconds: Int?

    init() {}

    init(_ model: SwitchModel) {
        networks = Dictionary(
            model.domains.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        for port in model.ports {
            var place = Place(
                name: port.spec.name, isTunnel: false, host: nil, isHeld: port.hold != nil)
            if case .access = port.spec.membership { place.isAccess = true }
            if port.isProbed {
                place.probedDomains = port.spec.membership.networks.compactMap {
                    model.domains[$0]
                }
            }
            places[port.number] = place
        }
        for tunnel in model.tunnels {
            places[tunnel.number] = Place(
                name: tunnel.spec.name, isTunnel: true, host: tunnel.spec.host)
        }
        counted = Dictionary(
            model.countedNames.map { ($0.number, $0.name) }, uniquingKeysWith: { first, _ in first }
        )
        loopHoldSeconds = model.bridge.loopHoldSeconds
        loopProbeSeconds = model.bridge.loopProbeSeconds
    }

    /// `port 'web-1'`, `tunnel 'vxlan:beta'`.
    func place(_ number: UInt16) -> String {
        guard let place = places[number] else { return "a port that is gone" }
        return "\(place.isTunnel ? "tunnel" : "port") '\(place.name)'"
    }

    /// The name where events have a port, which for them may be a tunnel's.
    func name(_ number: UInt16) -> String? { places[number]?.name }

    func tunnel(among numbers: UInt16...) -> String? {
        numbers.lazy.compactMap { places[$0] }.first { $0.isTunnel }?.name
    }
}

extension LivePort {
    /// Whether loop probes are sent by it: what it reaches may come back. A capture file is not to
    /// have them in it.
    fileprivate var isProbed: Bool {
        if case .pcap = spec.attachment { return false }
        return spec.up && hold == nil && condition == .up && hasPeer
    }
}
