import Dataplane
import Logging
import Ports
import Synchronization
import Topology
import Wire

/// The probing of a switch's tunnels.
final class TunnelProbes: Sendable {
    private let ways: ProbeWays
    private let engine: ProbeEngine
    private let receiver: Receiver
    private let log: Logger

    /// Who is told; it owns this object.
    private final class Receiver: Sendable {
        private struct Reference {
            weak var controller: Controller?
        }

        private let reference = Mutex(Reference())

        func set(_ controller: Controller) {
            reference.withLock { $0.controller = controller }
        }

        func tell() { reference.withLock(\.controller)?.followProbes() }
    }

    init(fabric: Fabric, log: Logger) throws(SystemError) {
        self.log = log
        let ways = ProbeWays(fabric: fabric)
        let receiver = Receiver()
        let engine = try ProbeEngine(
            transmit: { ways.transmit($1, by: $0) }, collect: { ways.collect() },
            lastTraffic: { ways.lastHeard(by: $0) }, handler: { _ in receiver.tell() })
        (self.ways, self.receiver, self.engine) = (ways, receiver, engine)
    }

    func stop() { engine.stop() }

    /// What probes tell of a tunnel; nil when it is not probed.
    func state(of tunnel: String) -> ProbeState? { engine.report(of: tunnel)?.state }

    /// Probes the model's tunnels if it says so, and no others. The controller is told when a state
    /// changes, on another thread.
    func follow(_ model: SwitchModel, of controller: Controller) {
        receiver.set(controller)
        ways.set(model)
        let settings = model.tunnelSettings
        do {
            try engine.probe(
                settings.probes ? Set(model.tunnels.map(\.spec.name)) : [],
                every: .milliseconds(settings.probeMilliseconds))
        } catch {
            log.error("cannot probe tunnels: \(error)")
        }
    }
}

/// Carries probes between the engine, which knows tunnels by name, and the sockets and mailboxes of
/// the dataplane.
private final class ProbeWays: Sendable {
    private struct Way: Sendable {
        let number: UInt16
        let kind: OverlayKind
        let local: IPAddress
        let remote: UnderlayAddress
        let sockets: any UnderlaySockets
    }

    private struct Table {
        var ways: [String: Way] = [:]
        var names: [UInt16: String] = [:]
    }

    /// The headers of all encapsulations are of this length as we write them.
    private static let headerByteCount = 8

    private let fabric: Fabric
    private let table = Mutex(Table())

    init(fabric: Fabric) { self.fabric = fabric }

    func set(_ model: SwitchModel) {
        var table = Table()
        for tunnel in model.tunnels {
            guard let underlay = model.underlays.first(where: { $0.spec == tunnel.spec.underlay })
            else { continue }
            table.names[tunnel.number] = tunnel.spec.name
            table.ways[tunnel.spec.name] = Way(
                number: tunnel.number, kind: tunnel.spec.kind, local: tunnel.spec.local,
                remote: UnderlayAddress(tunnel.spec.remote), sockets: underlay.sockets)
        }
        self.table.withLock { $0 = table }
    }

    /// Sends a probe: as a frame of VNI 0, which is no tenant's (RFC 8971 section 3, RFC 9521
    /// section 4). One that the kernel refuses is as good as lost.
    func transmit(_ packet: BFDControl, by tunnel: String) {
        guard let way = table.withLock({ $0.ways[tunnel] }) else { return }
        withUnsafeTemporaryAllocation(
            byteCount: Self.headerByteCount + OverlayProbe.maximumByteCount, alignment: 8
        ) { datagram in
            guard let header = datagram.baseAddress else { return }
            switch way.kind {
            case .vxlan: VXLANView.write(vni: 0, to: header)
            case .geneve: GeneveView.write(vni: 0, isControl: true, to: header)
            case .gre: GREView.write(key: 0, to: header)
            case .nvgre: GREView.write(virtualSubnetID: 0, flowID: 0, to: header)
            }
            let ports = OverlayProbe.sourcePorts
            let byteCount = OverlayProbe.build(
                packet, fromMAC: Self.address(way.local), source: way.local,
                sourcePort: ports.lowerBound + way.number % UInt16(ports.count),
                to: header + Self.headerByteCount)
            _ = way.sockets.sendProbe(
                UnsafeRawBufferPointer(rebasing: datagram[..<(Self.headerByteCount + byteCount)]),
                to: way.remote)
        }
    }

    /// What has arrived since the last call.
    func collect() -> [ProbeEngine.Arrival] {
        var arrivals: [ProbeEngine.Arrival] = []
        for link in fabric.links {
            while let arrival = link.probes.pop() {
                guard let name = table.withLock({ $0.names[arrival.tunnel] }) else { continue }
                arrivals.append(.init(tunnel: name, packet: arrival.packet))
            }
        }
        return arrivals
    }

    /// When a frame last came by a tunnel, a probe or a tenant's; nil when none ever did.
    func lastHeard(by tunnel: String) -> ContinuousClock.Instant? {
        guard let way = table.withLock({ $0.ways[tunnel] }) else { return nil }
        let heard = fabric.lastHeard(way.number)
        guard heard != 0 else { return nil }
        let now = WorkerThread.monotonicNanoseconds()
        return .now - .nanoseconds(now > heard ? now - heard : 0)
    }

    /// The sending end's address on the inner Ethernet, which nobody answers to.
    private static func address(_ local: IPAddress) -> MACAddress {
        // Locally administered; the rest is the end of the IP address.
        local.octets.suffix(4).reduce(MACAddress(rawValue: 0x02_00)) {
            MACAddress(rawValue: $0.rawValue << 8 | UInt64($1))
        }
    }
}
