import Wire

/// The forwarding function: from a frame and its ingress port to a ``Verdict``.
///
/// Theory of operation (IEEE 802.1Q-2022 §8.6), in this order:
///
/// 1. *Normalise.* A frame shorter than its headers is a runt. An 802.1Q tag (TPID 0x8100) is
///    popped into the frame's metadata; a second one ends the frame. Provider tags (0x88A8) are
///    payload. The sender's offload
///    request must agree with the bytes.
/// 2. *Address checks.* A source that is a group address or zero is invalid. Destinations
///    01:80:C2:00:00:0X belong to the link and are never forwarded.
/// 3. *Classify.* Untagged, VID 0: the access or native domain. Tagged: the trunk's domain of that
///    VID. An access port drops every other tag. What came by a tunnel is of its VNI's domain.
/// 4. *MTU*: the layer-3 packet, or each segment of a super-frame, must fit the domain's.
/// 5. *Learn.* The source is looked up; a pinned source at another port is dropped, all else is an
///    effect that the verdict carries: refresh, learn or move. A frame from the switch's own address
///    is a ``LoopProbe`` that found its way back, and consumed.
/// 6. *Look up* the destination. Group addresses and unknown ones are flooded; a known one is sent
///    to its port, unless that is the ingress port (hairpin), both are isolated, both are tunnels
///    (split horizon), or the port is no member (any more).
///
/// The function reads the snapshot and the table and changes neither; the caller carries out the
/// effects. It never fails, traps or allocates, whatever the bytes are.
///
/// ``decide(_:ingress:in:)`` is its two halves one after the other: ``classify(_:ingress:in:)``, up
/// to step 4, needs the configuration only; ``resolve(_:ingress:in:)`` needs the table. A worker
/// classifies a whole burst first and prefetches the places of the table that it will need, so that
/// memory fetches all of them at once instead of one after another.
package enum Forwarding {
    /// What the function reads besides the frame: constant pointers for the length of a burst.
    package struct Context {
        let ports: UnsafeMutablePointer<Snapshot.PortEntry>
        let domains: UnsafeMutablePointer<Snapshot.DomainEntry>
        let domainOfVID: UnsafeMutablePointer<UInt16>
        let portCount: Int
        let domainCount: Int
        let table: FDBTable
        let isOwner: Bool
        /// FDB tick of the burst.
        let now: UInt32

        /// - Parameter isOwner: whether the calling thread owns the FDB.
        /// - Precondition: the caller keeps `snapshot` and `fdb` for longer than the context.
        package init(snapshot: Snapshot, fdb: FDB, isOwner: Bool, now: UInt32) {
            ports = snapshot.ports
            domains = snapshot.domains
            domainOfVID = snapshot.domainOfVID
            portCount = snapshot.portCount
            domainCount = snapshot.domainCount
            table = fdb.table
            self.isOwner = isOwner
            self.now = now
        }

        /// The VLAN ID that `port` wants in `domain` (0: untagged); nil when it is no member.
        @inline(__always)
        func egressVID(port: UInt16, domain: UInt16) -> UInt16? {
            Snapshot.egressVID(of: ports[Int(port)], in: domain, domains: domains)
        }
    }

    /// Step 1: brings the frame into canonical form; a reason other than `.none` ends it.
    @inline(__always)
    package static func normalise(_ frame: inout Frame) -> DropReason {
        guard frame.byteCount >= 14 else { return .runt }
        if frame.bytes.loadBigEndian(12, as: UInt16.self) == 0x8100 {
            guard frame.byteCount >= 18 else { return .runt }
            pop(&frame)
            // Where this frame leaves untagged, its second tag would be taken for its first: a way
            // into any network of a trunk (VLAN hopping).
            if frame.bytes.loadBigEndian(12, as: UInt16.self) == 0x8100 { return .secondTag }
        }
        frame.packetByteCount = frame.byteCount &- 14
        guard frame.offload.isPending else {
            frame.offload = frame.offload.plain
            return .none
        }
        return admit(&frame)
    }

    /// Checks what the sender left to us; apart, so that the loops over plain frames stay short.
    @inline(never)
    private static func admit(_ frame: inout Frame) -> DropReason {
        let request = frame.offload
        var finding = frame.offload.admit(frame.buffer, byteCount: Int(frame.byteCount))
        // The headers of a borrowed frame may be longer than what was copied of it.
        if case .invalid(.malformedHeaders) = finding, frame.isBorrowed {
            frame.gather()
            frame.offload = request
            finding = frame.offload.admit(frame.buffer, byteCount: Int(frame.byteCount))
        }
        switch finding {
        case .plain, .checksumOnly: break
        case .gso(let gso):
            frame.packetByteCount = UInt32(truncatingIfNeeded: gso.maximumSegmentIPByteCount)
            frame.segmentCount = UInt16(clamping: gso.segmentCount)
        case .invalid: return .invalidOffload
        }
        return .none
    }

    /// Moves the outermost tag into the frame's metadata.
    @inline(__always)
    private static func pop(_ frame: inout Frame) {
        let bytes = frame.bytes
        frame.tci = bytes.loadBigEndian(14, as: UInt16.self)
        // Close the gap: both addresses move four bytes towards the payload.
        let low = bytes.loadUnaligned(as: UInt64.self)
        let high = (bytes + 8).loadUnaligned(as: UInt32.self)
        (bytes + 4).storeBytes(of: low, as: UInt64.self)
        (bytes + 12).storeBytes(of: high, as: UInt32.self)
        frame.bytes = bytes + 4
        frame.byteCount &-= 4
        frame.offload.shift(by: -4)
    }

    /// What is known of a frame before the table is asked.
    struct Classified {
        /// Source and destination as FDB keys, and where the search for them begins.
        var source: UInt64
        var destination: UInt64
        var sourceHome: UInt32
        var destinationHome: UInt32
        /// The domain; 0 when the frame never got one.
        var domain: UInt16
        /// Other than `.none` for a frame that goes no further.
        var reason: DropReason

        @inline(__always)
        var isToGroup: Bool { destination & 0x0100_0000_0000 != 0 }

        @inline(__always)
        static func drop(_ reason: DropReason) -> Classified {
            Classified(
                source: 0, destination: 0, sourceHome: 0, destinationHome: 0, domain: 0,
                reason: reason)
        }
    }

    /// Steps 2 to 6, for a normalised frame.
    @inline(__always)
    package static func decide(_ frame: Frame, ingress: UInt16, in context: Context) -> Verdict {
        resolve(classify(frame, ingress: ingress, in: context), ingress: ingress, in: context)
    }

    /// Steps 2 to 4.
    @inline(__always)
    static func classify(_ frame: Frame, ingress: UInt16, in context: Context) -> Classified {
        let entry = context.ports + Int(ingress)
        // Fourteen bytes are there: each load takes an address and two bytes more.
        let destination = frame.bytes.loadBigEndian(0, as: UInt64.self) >> 16
        let source = frame.bytes.loadBigEndian(6, as: UInt64.self) >> 16
        let vid = frame.vid
        var domain: UInt16 = 0
        var reason = DropReason.none
        let isFromTunnel = entry.pointee.flags.contains(.tunnel)
        // What a tunnel's far end still gets through is welcome, whatever we think of the way there.
        if !entry.pointee.flags.contains(.up), !isFromTunnel {
            reason = .portDown
        } else if MACAddress(rawValue: source).isMulticast || source == 0 {
            reason = .invalidSource
        } else if MACAddress(rawValue: destination).isReserved {
            reason = .reservedAddress
        } else if isFromTunnel {
            domain = frame.domain
            if vid != 0 { reason = .tagInTunnel }
        } else if vid == 0 {
            domain = entry.pointee.untaggedDomain
            if domain == 0 { reason = .untaggedOnTrunk }
        } else if entry.pointee.flags.contains(.access) {
            domain = entry.pointee.untaggedDomain
            reason = .tagOnAccess
        } else if vid == 0xFFF {
            reason = .reservedVLAN
        } else {
            domain = context.domainOfVID[Int(vid)]
            if !entry.pointee.isMember(of: domain) {
                domain = 0
                reason = .vlanNotAllowed
            }
        }
        if reason == .none, frame.packetByteCount > context.domains[Int(domain)].mtu {
            reason = .oversize
        }
        let sourceKey = FDBKey(domain: domain, address: source).word
        let destinationKey = FDBKey(domain: domain, address: destination).word
        return Classified(
            source: sourceKey, destination: destinationKey,
            sourceHome: context.table.home(sourceKey),
            destinationHome: context.table.home(destinationKey), domain: domain, reason: reason)
    }

    /// Steps 5 and 6.
    @inline(always)
    static func resolve(
        _ classified: Classified, ingress: UInt16, in context: Context
    ) -> Verdict {
        var verdict = Verdict.drop(classified.reason, domain: classified.domain)
        guard classified.reason == .none else { return verdict }

        // 5. Source.
        if let known = context.table.lookup(
            classified.source, from: classified.sourceHome, now: context.now,
            isOwner: context.isOwner)
        {
            if known.port == ingress {
                verdict.learning =
                    known.kind == .static || known.tick == context.now ? .none : .refresh
                verdict.sourceIndex = known.index
            } else if known.kind == .dynamic {
                verdict.learning = .move
            } else {
                // The switch's own address is pinned to a port that is none.
                verdict.action = known.port == PortNumber.switchItself ? .consume : .drop
                verdict.reason = known.port == PortNumber.switchItself ? .none : .sourcePinned
                return verdict
            }
        } else {
            verdict.learning = .learn
        }

        // 6. Destination.
        guard !classified.isToGroup,
            let target = context.table.lookup(
                classified.destination, from: classified.destinationHome, now: context.now,
                isOwner: context.isOwner)
        else {
            verdict.action = .flood
            return verdict
        }
        if target.port == ingress {
            verdict.reason = .hairpin
            return verdict
        }
        verdict.reason = .notMember
        // An entry can outlive its port, until the flush that follows the new configuration.
        guard Int(target.port) < context.portCount else { return verdict }
        let egress = context.ports + Int(target.port)
        let both = egress.pointee.flags.intersection(context.ports[Int(ingress)].flags)
        if !both.isDisjoint(with: .apart) {
            verdict.reason = both.contains(.tunnel) ? .splitHorizon : .isolated
            return verdict
        }
        // A tunnel that is down says so itself, when the copy gets there.
        guard !egress.pointee.flags.isDisjoint(with: [.up, .tunnel]),
            let tag = context.egressVID(port: target.port, domain: classified.domain)
        else { return verdict }
        verdict.action = .forward
        verdict.reason = .none
        verdict.egress = target.port
        verdict.egressVID = tag
        return verdict
    }
}
