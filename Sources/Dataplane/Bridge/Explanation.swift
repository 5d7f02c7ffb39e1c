import Wire

/// What would become of one frame, and everything that decided it.
///
/// The forwarding function itself is run (``Forwarding/normalise(_:)`` and
/// ``Forwarding/decide(_:ingress:in:)``) on a copy of the frame, with the tables as a reader sees
/// them; its effects are told and not carried out. What a worker does after it, with the copies of
/// the frame, is told by the same tables: flood lists, tunnels' limits, what a port takes
/// unfinished. Nothing is changed, counted or sent. Cost: microseconds, and allocations; any thread.
package struct Explanation: Sendable {
    /// What the FDB says of an address.
    package struct Entry: Sendable, Equatable {
        package var port: UInt16
        package var kind: FDB.Kind
        /// Tenths of a second since it was heard; 0 for a static one.
        package var ageTicks: UInt32
    }

    /// What happens to one copy at its egress.
    package enum Outcome: Sendable, Equatable {
        /// It leaves by a port as so many frames; more than one when the port's peer takes no
        /// super-frames and it is cut.
        case sent(frames: Int, completesChecksum: Bool)
        /// It leaves by a tunnel as so many datagrams.
        case encapsulated(
            Encapsulation, vni: UInt32, remote: UnderlayAddress, datagrams: Int, clampsMSS: Bool)
        /// It ends here; `limit` is the largest packet that a tunnel takes, where that is why.
        case dropped(DropReason, limit: UInt32?)
    }

    package struct Copy: Sendable, Equatable {
        package var port: UInt16
        /// VLAN ID that it is tagged with; 0 for untagged.
        package var vid: UInt16
        package var outcome: Outcome
    }

    /// As the forwarding function returned it, but that a flood which reaches nobody is a drop.
    package var verdict: Verdict
    /// The popped tag; nil for an untagged frame.
    package var tci: UInt16?
    package var source: MACAddress = .zero
    package var destination: MACAddress = .zero
    /// The layer-3 packet's length, or the longest segment's.
    package var packetByteCount: UInt32 = 0
    package var segmentCount: UInt16 = 1
    /// The domain's; 0 when the frame never got one.
    package var mtu: UInt32 = 0
    /// Nil when the address is unknown, or was not looked for.
    package var sourceEntry: Entry?
    package var destinationEntry: Entry?
    package var copies: [Copy] = []
    package var leftOut: [LeftOut] = []

    package struct LeftOut: Sendable, Equatable {
        package var port: UInt16
        package var reason: Snapshot.Exclusion
    }

    /// Explains a frame that comes from `ingress`.
    ///
    /// - Parameters:
    ///   - bytes: the frame as received, with its tag; cut at ``SlotSize/maximumFrame``.
    ///   - domain: what a tunnel's VNI named; 0 for a frame of a port.
    ///   - isOwner: whether the calling thread owns the FDB.
    /// - Precondition: `ingress` is a port or tunnel of the snapshot.
    package init(
        of bytes: UnsafeRawBufferPointer, offload: Offload = .none, ingress: UInt16,
        domain: UInt16 = 0, snapshot: Snapshot, fdb: FDB, isOwner: Bool, now: UInt32
    ) {
        precondition(snapshot.exists(ingress))
        let slot = UnsafeMutableRawPointer.allocate(
            byteCount: SlotSize.stride, alignment: 64)
        defer { slot.deallocate() }
        let byteCount = min(bytes.count, SlotSize.maximumFrame)
        if let base = bytes.baseAddress {
            (slot + SlotSize.headroom).copyMemory(from: base, byteCount: byteCount)
        }
        var frame = Frame(
            bytes: slot + SlotSize.headroom, byteCount: byteCount, offload: offload)
        frame.domain = domain
        let context = Forwarding.Context(
            snapshot: snapshot, fdb: fdb, isOwner: isOwner, now: now)
        let fault = Forwarding.normalise(&frame)
        if frame.bytes != slot + SlotSize.headroom { tci = frame.tci }
        packetByteCount = frame.packetByteCount
        segmentCount = frame.segmentCount
        if frame.byteCount >= 14 {
            destination = MACAddress(UnsafeRawPointer(frame.bytes))
            source = MACAddress(UnsafeRawPointer(frame.bytes + 6))
        }
        guard fault == .none else {
            verdict = .drop(fault, domain: 0)
            return
        }
        verdict = Forwarding.decide(frame, ingress: ingress, in: context)
        if verdict.domain != 0 { mtu = snapshot.domains[Int(verdict.domain)].mtu }
        guard wasLookedUp else { return }
        sourceEntry = Explanation.entry(source, verdict.domain, context)
        if !destination.isMulticast, verdict.reason != .sourcePinned {
            destinationEntry = Explanation.entry(destination, verdict.domain, context)
        }
        switch verdict.action {
        case .forward:
            copies = [
                Explanation.copy(
                    of: &frame, to: verdict.egress, vid: verdict.egressVID, verdict.domain, snapshot
                )
            ]
        case .flood:
            let reach = snapshot.reach(from: ingress, domain: verdict.domain)
            leftOut = reach.leftOut.map { LeftOut(port: $0.port, reason: $0.reason) }
            for member in reach.members {
                copies.append(
                    Explanation.copy(
                        of: &frame, to: member.port, vid: member.vid, verdict.domain, snapshot))
            }
            if reach.members.isEmpty {
                verdict.action = .drop
                verdict.reason = .floodNowhere
            }
        case .consume, .drop: break
        }
    }

    /// Whether the forwarding function came as far as the FDB.
    package var wasLookedUp: Bool {
        guard verdict.domain != 0 else { return false }
        switch verdict.reason {
        case .none, .sourcePinned, .hairpin, .notMember, .isolated, .splitHorizon, .floodNowhere:
            return true
        default: return false
        }
    }

    private static func entry(
        _ address: MACAddress, _ domain: UInt16, _ context: Forwarding.Context
    ) -> Entry? {
        let key = FDBKey(domain: domain, address: address).word
        guard
            let found = context.table.lookup(
                key, from: context.table.home(key), now: context.now, isOwner: context.isOwner)
        else { return nil }
        let age = Int32(bitPattern: context.now &- found.tick)
        return Entry(
            port: found.port, kind: found.kind,
            ageTicks: found.kind == .static || age < 0 ? 0 : UInt32(age))
    }

    /// What becomes of the copy for one port. The frame stays as it is but for a clamped MSS, which
    /// every later copy carries as well: a worker's do, too.
    private static func copy(
        of frame: inout Frame, to port: UInt16, vid: UInt16, _ domain: UInt16,
        _ snapshot: Snapshot
    ) -> Copy {
        guard snapshot.isTunnel(port) else {
            return Copy(port: port, vid: vid, outcome: sent(frame, port, snapshot))
        }
        let tunnel = snapshot.tunnelTable.tunnels[Int(snapshot.ports[Int(port)].tunnel)]
        let refusal = snapshot.tunnelRefusal(port, packetByteCount: frame.packetByteCount)
        guard refusal == .none else {
            return Copy(
                port: port, vid: 0,
                outcome: .dropped(
                    refusal,
                    limit: refusal == .overlayMTU ? tunnel.maximumPacketByteCount : nil))
        }
        let clamps =
            tunnel.clampsMSS
            && MSSClamp.apply(
                to: UnsafeMutableRawBufferPointer(start: frame.bytes, count: frame.buffer.count),
                offload: frame.offload,
                maximumPacketByteCount: Int(tunnel.maximumPacketByteCount))
        var datagrams = 1
        if frame.offload.isGSO {
            guard let segmenter = Segmenter(frame: frame.buffer, offload: frame.offload),
                segmenter.geometry.headerByteCount + Encapsulation.headerByteCount
                    <= MessageWriter.headerStride
            else {
                return Copy(port: port, vid: 0, outcome: .dropped(.cannotSegment, limit: nil))
            }
            datagrams = segmenter.geometry.segmentCount
        }
        return Copy(
            port: port, vid: 0,
            outcome: .encapsulated(
                tunnel.encapsulation, vni: snapshot.domains[Int(domain)].vni,
                remote: tunnel.remote, datagrams: datagrams, clampsMSS: clamps))
    }

    private static func sent(_ frame: Frame, _ port: UInt16, _ snapshot: Snapshot) -> Outcome {
        guard let attachment = snapshot.attachments[Int(port)] else {
            return .dropped(.egressDown, limit: nil)
        }
        // What is sent to a port alone at which nobody is ends there.
        if snapshot.configuration.ports.first(where: { $0.number == port })?.hasPeer == false {
            return .dropped(.egressDown, limit: nil)
        }
        let accepted = attachment.offloads
        if frame.offload.isGSO, !accepted.accepts(frame.offload) {
            guard let segmenter = Segmenter(frame: frame.buffer, offload: frame.offload) else {
                return .dropped(.cannotSegment, limit: nil)
            }
            return .sent(frames: segmenter.geometry.segmentCount, completesChecksum: true)
        }
        return .sent(
            frames: 1,
            completesChecksum: frame.offload.needsChecksum && !accepted.contains(.checksum))
    }
}

extension Snapshot {
    /// Whether a port or tunnel has that number.
    package func exists(_ port: UInt16) -> Bool {
        Int(port) < portCount && ports[Int(port)].flags.contains(.exists)
    }
}
