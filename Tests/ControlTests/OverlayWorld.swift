import Dataplane
import Topology
import Wire

@testable import Control

extension MemoryUnderlay: UnderlaySockets {
    package var pathMTUErrors: UInt64 { 0 }
    package func sendProbe(_ datagram: UnsafeRawBufferPointer, to destination: UnderlayAddress)
        -> Bool
    {
        false
    }
}

/// All hosts of a topology, each a switch of two workers made from its part as the daemon makes it,
/// with ports and an underlay in memory.
final class OverlayWorld {
    /// Where datagrams of one encapsulation meet: a kind and, if it has one, a UDP port.
    private struct Wires: Hashable {
        var kind: OverlayKind
        var port: UInt16?
    }

    /// Something that came out of a port.
    struct Delivery: Hashable {
        var port: String
        /// VLAN ID of the tag; nil for none.
        var vid: UInt16?
        /// Without the tag.
        var frame: [UInt8]
    }

    final class Host {
        let name: String
        let model: SwitchModel
        private let fabric = Fabric(
            workers: 2, portCapacity: 64, domainCapacity: 16, fdbCapacity: 1024, seed: 7)
        private var first: Worker
        private var second: Worker

        init(name: String, model: SwitchModel) {
            self.name = name
            self.model = model
            _ = fabric.publish(model.configuration(workers: 2, captures: []))
            first = Worker(fabric: fabric, index: 0)
            second = Worker(fabric: fabric, index: 1)
        }

        /// One round of both workers; true when there was anything to do.
        func run(time: UInt64) -> Bool {
            var isBusy = false
            _ = first.beginRound(time: time)
            _ = second.beginRound(time: time)
            for (_, number) in model.countedNames {
                _ = first.serve(port: number)
                if first.receivedCount > 0 { isBusy = true }
                _ = second.serve(port: number)
                if second.receivedCount > 0 { isBusy = true }
            }
            if first.endRound() { isBusy = true }
            if second.endRound() { isBusy = true }
            return isBusy
        }

        /// Ports and tunnels whose counters do not add up.
        var unbalanced: [String] {
            model.countedNames.filter { _, number in
                var drops: (ingress: UInt64, egress: UInt64) = (0, 0)
                for reason in DropReason.allCases {
                    let count = fabric.value(reason, port: number)
                    if reason.isEgress { drops.egress += count } else { drops.ingress += count }
                }
                func value(_ counter: PortCounter) -> UInt64 { fabric.value(counter, port: number) }
                return value(.received)
                    != value(.forwarded) + value(.flooded) + value(.consumed) + drops.ingress
                    || value(.copies) != value(.transmitted) + drops.egress
            }.map { "\(name) \($0.name)" }
        }
    }

    private(set) var hosts: [Host] = []
    private var attachments: [String: MemoryPort] = [:]
    private var networks: [Wires: MemoryNetwork] = [:]
    private let time: UInt64 = 1_000_000_000_000

    init(_ topology: Topology, using random: inout some RandomNumberGenerator) throws {
        for host in topology.hosts {
            let part = try topology.part(of: host.name)
            hosts.append(Host(name: host.name, model: model(of: part, using: &random)))
        }
    }

    /// What an apply of the part would come to, had the numbers fallen so.
    private func model(
        of part: HostPart, using random: inout some RandomNumberGenerator
    ) -> SwitchModel {
        var model = SwitchModel()
        model.bridge = part.topology.bridge
        model.networks = part.topology.networks
        model.tunnelSettings = part.topology.tunnelSettings
        // Only names and VNIs mean the same on two hosts.
        let domains = (1...UInt16(model.networks.count)).shuffled(using: &random)
        for (network, domain) in zip(model.networks, domains) {
            model.domains[network.name] = domain
        }
        var numbers = (0..<64 as Range<UInt16>).shuffled(using: &random)
        for spec in part.topology.ports {
            let attachment = MemoryPort()
            attachments[spec.name] = attachment
            model.ports.append(
                LivePort(
                    spec: spec, number: numbers.removeLast(), origin: .declared,
                    attachment: attachment))
        }
        for spec in part.underlays {
            let wires = Wires(kind: spec.kind, port: spec.port)
            let network = networks[wires] ?? MemoryNetwork()
            networks[wires] = network
            let isRaw = spec.port == nil
            model.underlays.append(
                LiveUnderlay(
                    spec: spec, number: numbers.removeLast(),
                    sockets: MemoryUnderlay(
                        UnderlayAddress(spec.local), on: network, segments: !isRaw,
                        sourceCount: isRaw ? 1 : 16, coalesces: Bool.random(using: &random))))
        }
        for spec in part.tunnels {
            model.tunnels.append(
                LiveTunnel(
                    spec: spec, number: numbers.removeLast(),
                    path: .up(
                        spec.name, device: "memory", gateway: nil, mtu: 1600,
                        neighbour: "reachable")))
        }
        return model
    }

    /// Sends a frame into a port and returns what came out anywhere.
    func send(_ frame: [UInt8], into port: String) -> [Delivery] {
        guard let attachment = attachments[port], attachment.put(frame) else { return [] }
        for _ in 0..<100 {
            var isBusy = false
            for host in hosts where host.run(time: time) { isBusy = true }
            if !isBusy { break }
        }
        var result: [Delivery] = []
        for (name, attachment) in attachments {
            while let (frame, _) = attachment.take() {
                result.append(OverlayWorld.delivery(frame, from: name))
            }
        }
        return result
    }

    private static func delivery(_ frame: [UInt8], from port: String) -> Delivery {
        guard frame[12] == 0x81, frame[13] == 0 else {
            return Delivery(port: port, vid: nil, frame: frame)
        }
        return Delivery(
            port: port, vid: (UInt16(frame[14]) << 8 | UInt16(frame[15])) & 0xFFF,
            frame: Array(frame[..<12] + frame[16...]))
    }
}
