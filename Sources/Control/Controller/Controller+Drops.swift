import ControlAPI
import Dataplane
import Netlink
import Ports
import Topology
import Wire

/// Requests for drops: what was counted, since when, why, and the last frames of each kind.
extension Controller {
    /// Frames of each kind that are told of.
    private static let shownFrames = 3

    package func drops() -> DropList {
        let model = self.model.withLock { $0 }
        var rows: [DropInfo] = []
        for (name, number) in model.countedNames {
            let port = model.port(named: name)
            for reason in DropReason.allCases where reason != .none {
                let count = value(reason, port: number)
                guard count > 0 else { continue }
                rows.append(row(name, number, port, reason, count, model))
            }
        }
        rows += droppedByKernel(model)
        rows.sort { ($1.count, $0.port, $0.reason) < ($0.count, $1.port, $1.reason) }
        return DropList(drops: rows)
    }

    private func row(
        _ name: String, _ number: UInt16, _ port: LivePort?, _ reason: DropReason,
        _ count: UInt64, _ model: SwitchModel
    ) -> DropInfo {
        let frames = lastFrames(reason, port: number)
        let cause = DropCause(reason, port: port?.spec, frames: frames, model)
        // An access port's drops are its one network's; of a trunk's or a tunnel's the frames tell.
        var network: String?
        if case .access(let name) = port?.spec.membership {
            network = name
        } else {
            let domains = Set(frames.map(\.record.domain))
            if domains.count == 1, let domain = domains.first {
                network = model.network(inDomain: domain)?.name
            }
        }
        let times = dropTimes(reason, port: number)
        return DropInfo(
            port: name, network: network, reason: reason.name, count: count,
            sentence: reason.sentence, remedy: reason.remedy, cause: cause.sentence,
            source: cause.source, firstSecondsAgo: times.map { secondsSince($0.first) },
            lastSecondsAgo: times.map { secondsSince($0.last) },
            frames: frames.isEmpty
                ? nil : frames.suffix(Controller.shownFrames).map { describe($0) })
    }

    /// The kept frames of that reason at that port, of all workers, oldest first.
    private func lastFrames(_ reason: DropReason, port: UInt16) -> [RecordedFrame] {
        fabric.links.flatMap { $0.drops.frames(reason, port: port) }
            .map { RecordedFrame(record: $0.0, bytes: $0.1) }
            .sorted { $0.record.time < $1.record.time }
    }

    private func dropTimes(
        _ reason: DropReason, port: UInt16
    ) -> (first: UInt32, last: UInt32)? {
        let times = fabric.links.compactMap { $0.drops.times(reason, port: port) }
        guard let first = times.map(\.first).min(), let last = times.map(\.last).max() else {
            return nil
        }
        return (first, last)
    }

    private func secondsSince(_ tick: UInt32) -> Double {
        Double(max(0, Int32(bitPattern: now &- tick))) / Double(FDB.ticksPerSecond)
    }

    private func describe(_ frame: RecordedFrame) -> String {
        let tag = frame.record.tci & 0xFFF
        let text = FrameDescription(frame.bytes.span.bytes).summary
        return (tag == 0 ? "" : "VLAN \(tag): ") + text
    }

    /// What never reached the switch: frames that a TAP's own queue had no room for. The kernel
    /// counts them, nobody else would tell.
    private func droppedByKernel(_ model: SwitchModel) -> [DropInfo] {
        var rows = lostByPackets(model)
        let taps = model.ports.filter {
            if case .tap = $0.spec.attachment { $0.device != nil } else { false }
        }
        let housed = Dictionary(grouping: taps) {
            $0.spec.namespace
        }
        for ports in housed.values {
            let links = try? provisioning.inside(ports[0].device?.namespace) {
                let socket = try NetlinkSocket()
                return try ports.map { port in
                    try port.device.flatMap { try socket.link(.index($0.index)) }
                }
            }
            for (port, link) in zip(ports, links ?? []) {
                guard let link, link.transmitDropped > 0 else { continue }
                var network: String?
                if case .access(let name) = port.spec.membership { network = name }
                rows.append(
                    DropInfo(
                        port: port.spec.name, network: network, reason: "device-queue-full",
                        count: link.transmitDropped,
                        sentence: "the kernel's queue of the port's device was full: its sender is "
                            + "faster than the switch",
                        remedy: "pace the sender, or lengthen the queue for bursts: "
                            + "ip link set \(link.name) txqueuelen 5000"))
            }
        }
        return rows
    }

    /// Frames for which a device port's ring or a veth's had no room, as its packet socket counts
    /// them.
    private func lostByPackets(_ model: SwitchModel) -> [DropInfo] {
        model.ports.compactMap { port in
            guard let packets = port.attachment as? PacketPort, packets.receiveDropped > 0 else {
                return nil
            }
            var network: String?
            if case .access(let name) = port.spec.membership { network = name }
            return DropInfo(
                port: port.spec.name, network: network, reason: "device-queue-full",
                count: packets.receiveDropped,
                sentence:
                    "the ring between the kernel and the switch was full: the device receives "
                    + "more than the switch forwards",
                remedy: "pace the sender, or run with more workers ('--workers')")
        }
    }
}
