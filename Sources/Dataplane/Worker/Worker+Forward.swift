/// Deciding a burst: every frame to its verdict, its copies into the chains of their egress ports.
///
/// This is the loop that runs for each frame; what is rare stands apart from it, out of line.
extension Worker {
    mutating func forward(ingress: UInt16) {
        // Twice the same code: the owner's has no trace of validation in it.
        if ownsFDB {
            forward(
                ingress: ingress,
                in: Forwarding.Context(
                    snapshot: snapshot, fdb: fabric.fdb, isOwner: true, now: tick))
        } else {
            forwardAsReader(ingress: ingress)
        }
    }

    @inline(never)
    private mutating func forwardAsReader(ingress: UInt16) {
        forward(
            ingress: ingress,
            in: Forwarding.Context(
                snapshot: snapshot, fdb: fabric.fdb, isOwner: false, now: tick))
    }

    @inline(always)
    private mutating func forward(ingress: UInt16, in context: Forwarding.Context) {
        let frames = burst.frames
        let count = burst.count
        var port = Tally()
        // First pass: everything up to the table.
        for place in 0..<count {
            let frame = frames + place
            port.bytes &+= UInt64(frame.pointee.byteCount)
            let fault = Forwarding.normalise(&frame.pointee)
            port.segments &+= UInt64(frame.pointee.segmentCount)
            guard fault == .none else {
                (classified + place).initialize(to: .drop(fault))
                continue
            }
            (classified + place).initialize(
                to: Forwarding.classify(frame.pointee, ingress: ingress, in: context))
            context.table.prefetch(classified[place].sourceHome)
            context.table.prefetch(classified[place].destinationHome)
        }

        // Second pass. The frames of an access port are all of one domain and counted together, as
        // are those of a tunnel's first one; on a trunk any frame's may be another, which no branch
        // predictor can guess.
        let home =
            context.ports[Int(ingress)].flags.contains(.tunnel)
            ? frames.pointee.domain : context.ports[Int(ingress)].untaggedDomain
        var tally = Tally()
        var flooded: UInt64 = 0
        for place in 0..<count {
            let frame = frames + place
            let verdict = Forwarding.resolve(classified[place], ingress: ingress, in: context)
            let forwarded: UInt64 = verdict.action == .forward ? 1 : 0
            if verdict.domain == home {
                tally.frames &+= 1
                tally.bytes &+= UInt64(frame.pointee.byteCount)
                tally.segments &+= UInt64(frame.pointee.segmentCount)
                tally.forwarded &+= forwarded
            } else if verdict.domain != 0 {
                counters.addReceived(
                    Tally(
                        frames: 1, bytes: UInt64(frame.pointee.byteCount),
                        segments: UInt64(frame.pointee.segmentCount), forwarded: forwarded),
                    domain: verdict.domain)
            }
            port.forwarded &+= forwarded
            if verdict.learning == .refresh {
                context.table.refresh(at: verdict.sourceIndex, now: context.now)
            } else if verdict.learning != .none {
                learn(FDBKey(word: classified[place].source), ingress: ingress)
            }
            // Before the frame is another worker's.
            #if !HEDDLE_WITHOUT_CAPTURE
                if place < noteCount { note(place: place, verdict, ingress: ingress) }
            #endif
            if verdict.action == .forward {
                deliver(
                    place: place, to: verdict.egress, vid: verdict.egressVID, verdict.domain,
                    ingress: ingress)
            } else if verdict.action == .flood {
                flooded &+= flood(place: place, ingress: ingress, domain: verdict.domain)
            } else {
                end(place: place, verdict, ingress: ingress)
            }
        }
        if home != 0 { counters.addReceived(tally, domain: home) }
        port.frames = UInt64(count)
        counters.addReceived(port, port: ingress)
        counters.add(flooded, .flooded, port: ingress)
        #if !HEDDLE_WITHOUT_CAPTURE
            if isCapturePending {
                isCapturePending = false
                publishIngress()
            }
        #endif
    }

    /// Learns or moves an address that was heard at `ingress`. Apart, as all that is rare, so that
    /// the loop over a burst keeps its registers.
    @inline(never)
    private mutating func learn(_ key: FDBKey, ingress: UInt16) {
        let isSticky = snapshot.ports[Int(ingress)].flags.contains(.sticky)
        if ownsFDB {
            learnAsOwner(key, port: ingress, isSticky: isSticky, at: tick)
        } else if link.learns.push(
            LearnRequest(key: key.word, port: ingress, isSticky: isSticky, tick: tick))
        {
            peersToWake |= 1
        }
        // A full ring loses the request, not the frame: the next frame asks again.
    }

    /// Ends a frame that goes nowhere.
    @inline(never)
    private mutating func end(place: Int, _ verdict: Verdict, ingress: UInt16) {
        if verdict.action == .consume {
            consume(place: place, ingress: ingress, domain: verdict.domain)
        } else {
            drop(verdict.reason, burst.frames + place, port: ingress, domain: verdict.domain)
        }
    }

    /// Floods a frame and accounts for it; 1 when there was anybody to flood it to, otherwise 0.
    @inline(never)
    private mutating func flood(place: Int, ingress: UInt16, domain: UInt16) -> UInt64 {
        guard deliverToMembers(place: place, ingress: ingress, domain: domain) else {
            drop(.floodNowhere, burst.frames + place, port: ingress, domain: domain)
            return 0
        }
        counters.add(1, .flooded, domain: domain)
        watchStation(place: place, ingress: ingress, domain: domain)
        return 1
    }

    /// Delivers a frame to every member of the domain that it may reach; false when there is none.
    private mutating func deliverToMembers(place: Int, ingress: UInt16, domain: UInt16) -> Bool {
        let entry = snapshot.domains[Int(domain)]
        let flags = snapshot.ports[Int(ingress)].flags
        var reached = false
        for position in Int(entry.floodStart)..<Int(entry.floodStart + entry.floodCount) {
            let member = snapshot.members[position]
            if member.port == ingress { continue }
            let egress = snapshot.ports[Int(member.port)]
            if !flags.intersection(egress.flags).isDisjoint(with: .apart) { continue }
            reached = true
            if egress.flags.contains(.tunnel),
                !mayEnterTunnel(place: place, member.port, domain: domain, ingress: ingress)
            {
                continue
            }
            if Int(egress.worker) == index {
                chain(burst.frames + place, to: member.port, vid: member.vid, domain: domain)
            } else {
                handOverCopy(place: place, to: member.port, domain: domain)
            }
        }
        return reached
    }

    /// Delivers a unicast frame.
    @inline(__always)
    private mutating func deliver(
        place: Int, to egress: UInt16, vid: UInt16, _ domain: UInt16, ingress: UInt16
    ) {
        if snapshot.ports[Int(egress)].flags.contains(.tunnel),
            !mayEnterTunnel(place: place, egress, domain: domain, ingress: ingress)
        {
            return
        }
        if Int(snapshot.ports[Int(egress)].worker) == index {
            chain(burst.frames + place, to: egress, vid: vid, domain: domain)
        } else {
            handOver(place: place, to: egress, domain: domain)
        }
    }

    /// Adds a copy to the end of a port's chain.
    @inline(__always)
    mutating func chain(
        _ frame: UnsafeMutablePointer<Frame>, to egress: UInt16, vid: UInt16, domain: UInt16
    ) {
        if referenceCount == Worker.referenceCapacity { transmitEarly() }
        let reference = references + referenceCount
        reference.initialize(to: Reference(next: -1, vid: vid, domain: domain, frame: frame))
        // Egress ports come in any order: no branch for the first copy of a port.
        let list = chains + Int(egress)
        activePorts[activeCount] = egress
        activeCount &+= list.pointee.head < 0 ? 1 : 0
        list.pointee.tail.pointee = Int32(truncatingIfNeeded: referenceCount)
        list.pointee.tail = UnsafeMutableRawPointer(reference)
            .assumingMemoryBound(to: Int32.self)
        referenceCount &+= 1
    }

    @inline(never)
    private mutating func transmitEarly() { transmitAll() }

    /// Empties a chain.
    @inline(__always)
    static func makeEmpty(_ list: UnsafeMutablePointer<Chain>) {
        list.initialize(
            to: Chain(
                head: -1, tail: UnsafeMutableRawPointer(list).assumingMemoryBound(to: Int32.self)))
    }
}
