import Wire

/// The forwarding function: from a frame and its ingress port to a ``Verdict``.
///
/// Theory of operation (IEEE 802.1Q-2022 §8.6), in this order:
///
/// 1. *Normalise.* A frame shorter than its headers is a runt. An 802.1Q tag (TPID 0x8100) is
///    popped into the frame's metadata. Provider tags (0x88A8) are payload. The sender's offload
///    request must agree with the bytes.
/// 2. *Address checks.* A source that is a group address or zero is invalid. Destinations
///    01:80:C2:00:00:0X belong to the link and are never forwarded.
/// 3. *Classify.* Untagged, VID 0: the access or native domain. Tagged: the trunk's domain of that
///    VID. An access port drops every other tag.
/// 4. *MTU*: the layer-3 packet, or each segment of a super-frame, must fit the domain's.
/// 5. *Learn.* The source is looked up; a pinned source at another port is dropped, all else is an
///    effect that the verdict carries: refresh, learn or move.
/// 6. *Look up* the destination. Group addresses and unknown ones are flooded; a known one is sent
///    to its port, unless that is the ingress port (hairpin), both are isolated, or the port is no
///    member (any more).
///
/// The function reads the snapshot and the table and changes neither; the caller carries out the
/// effects. It never fails, traps or allocates, whatever the bytes are. About 20 ns.
package enum Forwarding {
    /// What the function reads besides the frame: constant pointers for the length of a burst.
    package struct Context {
        let ports: UnsafeMutablePointer<Snapshot.PortEntry>
        let domains: UnsafeMutablePointer<Snapshot.DomainEntry>
        let domainOfVID: UnsafeMutablePointer<UInt16>
        let portCount: Int
        let domainCount: Int
        let fdb: FDB
        let isOwner: Bool
        /// FDB tick of the burst.
        let now: UInt32

        /// - Parameter isOwner: whether the calling thread owns the FDB.
        /// - Precondition: the caller keeps `snapshot` for longer than the context.
        package init(snapshot: Snapshot, fdb: FDB, isOwner: Bool, now: UInt32) {
            ports = snapshot.ports
            domains = snapshot.domains
            domainOfVID = snapshot.domainOfVID
            portCount = snapshot.portCount
            domainCount = snapshot.domainCount
            self.fdb = fdb
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
        }
        frame.packetByteCount = frame.byteCount &- 14
        switch frame.offload.admit(frame.buffer, byteCount: Int(frame.byteCount)) {
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

    /// Steps 2 to 6, for a normalised frame.
    @inline(__always)
    package static func decide(_ frame: Frame, ingress: UInt16, in context: Context) -> Verdict {
        let entry = context.ports[Int(ingress)]
        guard entry.flags.contains(.up) else { return .drop(.portDown) }
        let bytes = frame.bytes
        let destination = MACAddress(bytes)
        let source = MACAddress(bytes + 6)

        // 2. Addresses.
        if source.isMulticast || source.isZero { return .drop(.invalidSource) }
        if destination.isReserved { return .drop(.reservedAddress) }

        // 3. Classification.
        let vid = frame.vid
        let domain: UInt16
        if vid == 0 {
            domain = entry.untaggedDomain
            if domain == 0 { return .drop(.untaggedOnTrunk) }
        } else if entry.flags.contains(.access) {
            return .drop(.tagOnAccess, domain: entry.untaggedDomain)
        } else if vid == 0xFFF {
            return .drop(.reservedVLAN)
        } else {
            domain = context.domainOfVID[Int(vid)]
            guard domain != 0, entry.untaggedDomain == domain || entry.isTagged(vid) else {
                return .drop(.vlanNotAllowed)
            }
        }

        // 4. MTU.
        if frame.packetByteCount > context.domains[Int(domain)].mtu {
            return .drop(.oversize, domain: domain)
        }

        // 5. Source.
        let learning: Verdict.Learning
        var sourceIndex: Int32 = -1
        let sourceKey = FDBKey(domain: domain, address: source.rawValue)
        if let known = context.fdb.lookup(
            sourceKey, now: context.now, isOwner: context.isOwner)
        {
            if known.port == ingress {
                learning = known.kind == .static || known.tick == context.now ? .none : .refresh
                sourceIndex = known.index
            } else if known.kind == .dynamic {
                learning = .move
            } else {
                return .drop(.sourcePinned, domain: domain)
            }
        } else {
            learning = .learn
        }

        // 6. Destination.
        if !destination.isMulticast,
            let target = context.fdb.lookup(
                FDBKey(domain: domain, address: destination.rawValue), now: context.now,
                isOwner: context.isOwner)
        {
            if target.port == ingress {
                return .drop(.hairpin, domain: domain, learning: learning, sourceIndex: sourceIndex)
            }
            // An entry can outlive its port, until the flush that follows the new configuration.
            guard Int(target.port) < context.portCount else {
                return .drop(
                    .notMember, domain: domain, learning: learning, sourceIndex: sourceIndex)
            }
            let egress = context.ports[Int(target.port)]
            if entry.flags.contains(.isolated), egress.flags.contains(.isolated) {
                return .drop(
                    .isolated, domain: domain, learning: learning, sourceIndex: sourceIndex)
            }
            guard egress.flags.contains(.up),
                let tag = context.egressVID(port: target.port, domain: domain)
            else {
                return .drop(
                    .notMember, domain: domain, learning: learning, sourceIndex: sourceIndex)
            }
            return Verdict(
                action: .forward, reason: .none, learning: learning, domain: domain,
                egress: target.port, egressVID: tag, sourceIndex: sourceIndex)
        }
        return Verdict(
            action: .flood, reason: .none, learning: learning, domain: domain, egress: 0,
            egressVID: 0, sourceIndex: sourceIndex)
    }
}
