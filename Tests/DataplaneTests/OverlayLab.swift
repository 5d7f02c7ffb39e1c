@testable import Dataplane

/// Several switches, each with tunnels to all others over one network in memory.
final class OverlayLab {
    /// One host's switch. Ports are numbered from 0, the underlay is 100, the tunnel to host `n` 101 + n.
    final class Host {
        let fabric: Fabric
        var worker: Worker
        let underlay: MemoryUnderlay
        var ports: [MemoryPort] = []
        var configuration = DataplaneConfiguration()

        init(underlay: MemoryUnderlay) {
            self.underlay = underlay
            fabric = Fabric(portCapacity: 256, domainCapacity: 64, fdbCapacity: 1024, seed: 42)
            worker = Worker(fabric: fabric, index: 0)
        }

        func value(_ reason: DropReason, _ port: UInt16) -> UInt64 {
            fabric.value(reason, port: port)
        }
    }

    static let underlayNumber: UInt16 = 100
    static func tunnel(to host: Int) -> UInt16 { 101 + UInt16(host) }
    static func address(of host: Int) -> UnderlayAddress {
        UnderlayAddress(ipv4: 0xC000_0201 + UInt32(host))
    }

    let network = MemoryNetwork()
    let hosts: [Host]
    var time: UInt64 = 1_000_000_000_000

    /// - Parameter domains: of every host; those with a VNI are carried by all tunnels.
    init(
        hosts count: Int, domains: [DomainConfiguration], encapsulation: Encapsulation = .vxlan,
        maximumPacketByteCount: UInt32 = 1450, clampsMSS: Bool = false, segments: Bool = true,
        coalesces: Bool = true
    ) {
        let network = network
        hosts = (0..<count).map { index in
            Host(
                underlay: MemoryUnderlay(
                    OverlayLab.address(of: index), on: network, segments: segments,
                    sourceCount: segments ? 16 : 1, coalesces: coalesces))
        }
        for (index, host) in hosts.enumerated() {
            host.configuration.domains = domains
            host.configuration.underlays = [
                UnderlayConfiguration(
                    number: OverlayLab.underlayNumber, local: host.underlay.address,
                    underlay: host.underlay)
            ]
            host.configuration.tunnels = (0..<count).filter { $0 != index }.map { peer in
                TunnelConfiguration(
                    number: OverlayLab.tunnel(to: peer), underlay: OverlayLab.underlayNumber,
                    encapsulation: encapsulation, remote: OverlayLab.address(of: peer),
                    domains: domains.filter { $0.vni != 0 }.map(\.number),
                    maximumPacketByteCount: maximumPacketByteCount, clampsMSS: clampsMSS)
            }
            publish(host)
        }
    }

    func publish(_ host: Host) { _ = host.fabric.publish(host.configuration) }

    /// Adds a port to a host; its number is its place.
    @discardableResult
    func add(
        _ membership: PortConfiguration.Membership, to host: Int, offloads: OffloadSet = [],
        isolated: Bool = false
    ) -> UInt16 {
        let host = hosts[host]
        let number = UInt16(host.ports.count)
        host.ports.append(
            MemoryPort(offloads: offloads, depth: 256, slotByteCount: 80_000))
        host.configuration.ports.append(
            PortConfiguration(
                number: number, membership: membership, isIsolated: isolated,
                port: host.ports[Int(number)]))
        publish(host)
        return number
    }

    /// Runs all switches until nothing is under way.
    func run() {
        var isBusy = true
        for _ in 0..<1000 where isBusy {
            isBusy = false
            for host in hosts {
                _ = host.worker.beginRound(time: time)
                for port in host.configuration.ports {
                    if case .more = host.worker.serve(port: port.number) { isBusy = true }
                    if host.worker.receivedCount > 0 { isBusy = true }
                }
                if case .more = host.worker.serve(port: OverlayLab.underlayNumber) {
                    isBusy = true
                }
                if host.worker.receivedCount > 0 { isBusy = true }
                if host.worker.endRound() { isBusy = true }
            }
        }
    }

    struct Delivery: Equatable {
        var host: Int
        var port: Int
        var frame: [UInt8]
        var offload: Offload
    }

    /// Sends a frame into a port and returns what came out anywhere.
    func send(
        _ frame: [UInt8], into port: UInt16, of host: Int, offload: Offload = .none
    ) -> [Delivery] {
        let accepted = hosts[host].ports[Int(port)].put(frame, offload: offload)
        precondition(accepted, "the port's input is full")
        return deliveries()
    }

    func deliveries() -> [Delivery] {
        run()
        var result: [Delivery] = []
        for (index, host) in hosts.enumerated() {
            for (number, port) in host.ports.enumerated() {
                while let (frame, offload) = port.take() {
                    result.append(
                        Delivery(host: index, port: number, frame: frame, offload: offload))
                }
            }
        }
        return result
    }
}
