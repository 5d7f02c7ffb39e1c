import Wire

/// A switch without workers that decides frames of a capture, one after the other, and learns from
/// them: the forwarding function, an FDB of its own, and the clock of the capture's stamps.
///
/// A frame may be cut short: the function looks at its first bytes and at its length only. What the
/// sender had left unfinished is not in a capture, and a super-frame's segments are not known; see
/// ``decide(_:originalByteCount:ingress:domain:isSuperFrame:)``. Its owner is one thread.
package final class Replay {
    package let snapshot: Snapshot
    package let fdb: FDB
    /// FDB tick of the frame that was decided last.
    package private(set) var now: UInt32 = 0
    private let slot: UnsafeMutableRawPointer
    /// Bytes of a frame that are looked at: addresses, two tags, and the IP protocol.
    package static let headByteCount = 64

    package init(
        _ configuration: DataplaneConfiguration, fdbLimit: Int, ageingSeconds: Int,
        portLimits: [(port: UInt16, limit: UInt32)] = []
    ) {
        snapshot = Snapshot(configuration, generation: 1)
        fdb = FDB(maximumEntries: fdbLimit, portCapacity: max(snapshot.portCount, 1))
        fdb.setLimit(fdbLimit)
        fdb.setAgeing(
            ticks: UInt32(clamping: UInt64(ageingSeconds) * UInt64(FDB.ticksPerSecond)))
        for (port, limit) in portLimits { _ = fdb.setLimit(limit, port: port) }
        slot = .allocate(byteCount: SlotSize.headroom + Replay.headByteCount, alignment: 64)
    }

    deinit { slot.deallocate() }

    /// Moves the clock on to a frame's stamp, which may not be later than the last one's.
    package func advance(toNanoseconds time: UInt64) {
        let tick = Worker.tick(time)
        guard Int32(bitPattern: tick &- now) > 0 else { return }
        now = tick
        fdb.sweep(now: tick)
    }

    /// What becomes of a frame; its source is learned.
    ///
    /// - Parameters:
    ///   - head: the frame's first bytes; 18 of a longer frame at least.
    ///   - domain: what a tunnel's VNI named; 0 for a frame of a port.
    ///   - isSuperFrame: the frame stands for segments, which are taken to fit every MTU.
    /// - Precondition: `ingress` is a port or tunnel of the snapshot.
    package func decide(
        _ head: UnsafeRawBufferPointer, originalByteCount: UInt32, ingress: UInt16,
        domain: UInt16 = 0, isSuperFrame: Bool = false
    ) -> Decision {
        precondition(snapshot.exists(ingress))
        if let base = head.baseAddress {
            (slot + SlotSize.headroom).copyMemory(
                from: base, byteCount: min(head.count, Replay.headByteCount))
        }
        var frame = Frame(
            bytes: slot + SlotSize.headroom, byteCount: Int(originalByteCount), offload: .none)
        frame.domain = domain
        let fault = Forwarding.normalise(&frame)
        guard fault == .none else {
            return Decision(verdict: .drop(fault, domain: 0), packetByteCount: 0)
        }
        if isSuperFrame { frame.packetByteCount = 0 }
        let context = Forwarding.Context(
            snapshot: snapshot, fdb: fdb, isOwner: true, now: now)
        let verdict = Forwarding.decide(frame, ingress: ingress, in: context)
        switch verdict.learning {
        case .none: break
        case .refresh: context.table.refresh(at: verdict.sourceIndex, now: now)
        case .learn, .move:
            fdb.learn(
                FDBKey(
                    domain: verdict.domain,
                    address: MACAddress(UnsafeRawPointer(frame.bytes + 6))),
                port: ingress,
                sticky: snapshot.ports[Int(ingress)].flags.contains(.sticky), now: now)
        }
        return Decision(verdict: verdict, packetByteCount: frame.packetByteCount)
    }

    /// A verdict, and the packet's length for the tunnels that it may come to.
    package struct Decision: Sendable {
        package var verdict: Verdict
        package var packetByteCount: UInt32
    }

    /// Why the one copy of a forwarded frame ends at its egress; `.none` when it leaves.
    package func refusal(_ decision: Decision) -> DropReason {
        let egress = decision.verdict.egress
        guard snapshot.isTunnel(egress) else { return .none }
        return snapshot.tunnelRefusal(egress, packetByteCount: decision.packetByteCount)
    }

    /// The ports that get a copy of a flooded frame, in order of number.
    package func flooded(_ decision: Decision, ingress: UInt16) -> [UInt16] {
        snapshot.reach(from: ingress, domain: decision.verdict.domain).members.map(\.port)
            .filter {
                !snapshot.isTunnel($0)
                    || snapshot.tunnelRefusal($0, packetByteCount: decision.packetByteCount)
                        == .none
            }
    }

    /// Whether a flood has nobody to go to.
    package func floodsNowhere(_ decision: Decision, ingress: UInt16) -> Bool {
        snapshot.reach(from: ingress, domain: decision.verdict.domain).members.isEmpty
    }

    /// The smallest limit of the tunnels; packets no larger than it fit all of them.
    package var smallestTunnelLimit: UInt32 {
        snapshot.configuration.tunnels.map(\.maximumPacketByteCount).min() ?? .max
    }
}
