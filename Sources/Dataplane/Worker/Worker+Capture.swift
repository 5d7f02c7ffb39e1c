import Wire

/// What a worker needs of a tap for each frame, fetched once for a burst: reference counts, which other
/// workers count too, are not a frame's business.
private struct CaptureDesk {
    let ring: CaptureRing
    /// The tap's, which is there for as long as the snapshot is.
    private let filter: Unmanaged<FilterProgram>?
    let snapLength: Int

    init(_ tap: CaptureTap, worker: Int) {
        ring = tap.rings[worker]
        filter = tap.filter.map { Unmanaged.passUnretained($0) }
        snapLength = tap.snapLength
    }

    var takesAll: Bool { filter == nil }

    func judge(_ bytes: UnsafeRawBufferPointer, frameByteCount: Int) -> FilterProgram.Outcome {
        guard let filter else { return .match }
        return filter._withUnsafeGuaranteedRef { $0.run(bytes, frameByteCount: frameByteCount) }
    }
}

/// Copies of frames for running captures: at ingress as received, at egress as transmitted, and where
/// they end.
///
/// A frame is copied before anything is done to it, but what becomes of it is known later: its record
/// stays unpublished until the burst has been decided, and `note` writes the verdict into it.
extension Worker {
    /// Copies what the port received; true when there are records to complete.
    mutating func captureIngress(port: UInt16) -> Bool {
        let count = burst.count
        var isPending = false
        for (number, tap) in snapshot.captures.enumerated() {
            let pending = pendingRecords + number * Burst.capacity
            pending.initialize(repeating: nil, count: count)
            guard tap.points.contains(.ingress), tap.includes(port) else { continue }
            let desk = CaptureDesk(tap, worker: index)
            var place = 0
            while place < count {
                if tap.samplingInterval > 1 {
                    guard let chosen = tap.nextSample(from: place, count: count, worker: index)
                    else { break }
                    place = chosen
                }
                pending[place] = captureIngress(place: place, port: port, desk)
                isPending = isPending || pending[place] != nil
                place += 1
            }
        }
        return isPending
    }

    private mutating func captureIngress(
        place: Int, port: UInt16, _ desk: CaptureDesk
    ) -> UnsafeMutablePointer<FrameRecord>? {
        let frame = burst.frames + place
        let byteCount = Int(frame.pointee.byteCount)
        var outcome = desk.judge(frame.pointee.buffer, frameByteCount: byteCount)
        if outcome == .needsMore {
            frame.pointee.gather()
            outcome = desk.judge(frame.pointee.buffer, frameByteCount: byteCount)
        }
        guard outcome == .match else {
            desk.ring.reject(port: port)
            return nil
        }
        if frame.pointee.isBorrowed, desk.snapLength > frame.pointee.buffer.count {
            frame.pointee.gather()
        }
        var record = record(port: port, .ingress, of: frame)
        record.offload = frame.pointee.offload
        record.domain = frame.pointee.domain
        record.originalByteCount = frame.pointee.byteCount
        return desk.ring.append(
            record, snapLength: desk.snapLength, head: frame.pointee.buffer)
    }

    /// Writes the verdict on a frame into the records that wait for it, and into the flight recorder.
    @inline(never)
    mutating func note(place: Int, _ verdict: Verdict, ingress: UInt16) {
        if place < recordCount { recordFlight(place: place, verdict, ingress: ingress) }
        guard isCapturePending else { return }
        for number in snapshot.captures.indices {
            guard let record = pendingRecords[number * Burst.capacity + place] else { continue }
            complete(&record.pointee, verdict)
        }
    }

    func complete(_ record: inout FrameRecord, _ verdict: Verdict) {
        record.action = verdict.action
        record.reason = verdict.reason
        record.learning = verdict.learning
        record.domain = verdict.domain
        record.egress = verdict.egress
    }

    /// Shows the captures the burst's records, now that they are complete.
    @inline(never)
    mutating func publishIngress() {
        for tap in snapshot.captures { tap.rings[index].publish() }
    }

    /// Copies what is to leave by a tunnel, as it is before it is wrapped.
    mutating func captureTunnelEgress(chain head: Int32, port: UInt16) {
        for tap in snapshot.captures where tap.points.contains(.egress) && tap.covers(port: port) {
            let desk = CaptureDesk(tap, worker: index)
            var next = head
            while next >= 0 {
                let reference = references[Int(next)]
                next = reference.next
                let frame = reference.frame
                frame.pointee.gather()
                captureEgress(
                    frame, TransmitEntry.writingHeader(of: frame.pointee), domain: reference.domain,
                    port: port, desk)
            }
            publish(desk)
        }
    }

    /// Copies what was transmitted of the first `count` entries.
    mutating func captureEgress(_ count: Int, port: UInt16) {
        for tap in snapshot.captures where tap.points.contains(.egress) && tap.covers(port: port) {
            let desk = CaptureDesk(tap, worker: index)
            for place in 0..<count where entries[place].outcome == .none {
                captureEgress(
                    entryInfo[place].frame, entries[place], domain: entryInfo[place].domain,
                    port: port, desk)
            }
            publish(desk)
        }
    }

    private mutating func captureEgress(
        _ frame: UnsafeMutablePointer<Frame>, _ entry: TransmitEntry, domain: UInt16, port: UInt16,
        _ desk: CaptureDesk
    ) {
        guard passes(entry, desk) else {
            desk.ring.reject(port: port)
            return
        }
        var record = record(port: port, .egress, of: frame)
        record.domain = domain
        record.offload = Offload(wire: entry.head)
        desk.ring.append(record, snapLength: desk.snapLength, entry)
    }

    /// A filter wants the frame in one piece; a tagged one lies in two.
    private mutating func passes(_ entry: TransmitEntry, _ desk: CaptureDesk) -> Bool {
        guard !desk.takesAll else { return true }
        let byteCount = entry.frameByteCount
        var outcome: FilterProgram.Outcome
        if entry.bodyByteCount == 0 {
            outcome = desk.judge(entry.frameHead, frameByteCount: byteCount)
        } else {
            let held = entry.copyFrame(to: filterRoom, capacity: SlotSize.borrowedHead)
            outcome = desk.judge(
                UnsafeRawBufferPointer(start: filterRoom, count: held), frameByteCount: byteCount)
        }
        if outcome == .needsMore {
            let held = entry.copyFrame(to: filterRoom, capacity: SlotSize.maximumFrame)
            outcome = desk.judge(
                UnsafeRawBufferPointer(start: filterRoom, count: held), frameByteCount: byteCount)
        }
        return outcome == .match
    }

    /// As a filter sees a frame that ended: with the tag that was taken from it, and its bytes as far
    /// as they are in the slot.
    mutating func passes(_ filter: FilterProgram, _ frame: Frame) -> Bool {
        let byteCount = Int(frame.byteCount)
        guard frame.tci != 0, frame.buffer.count >= 12, let base = frame.buffer.baseAddress else {
            return filter.run(frame.buffer, frameByteCount: byteCount) == .match
        }
        filterRoom.copyMemory(from: base, byteCount: 12)
        filterRoom.storeBigEndian(UInt16(0x8100), at: 12)
        filterRoom.storeBigEndian(frame.tci, at: 14)
        // The head of a frame is all that most filters look at.
        var held = 12
        for limit in [SlotSize.borrowedHead, SlotSize.maximumFrame - 4] {
            let end = min(frame.buffer.count, limit)
            (filterRoom + held + 4).copyMemory(from: base + held, byteCount: end - held)
            held = end
            let outcome = filter.run(
                UnsafeRawBufferPointer(start: filterRoom, count: held + 4),
                frameByteCount: byteCount + 4)
            if outcome != .needsMore { return outcome == .match }
        }
        return false
    }

    /// What chains overflow into is transmitted in the middle of a burst, whose ingress records are
    /// not complete yet: then everything is published at the burst's end.
    private mutating func publish(_ desk: CaptureDesk) {
        if !isCapturePending { desk.ring.publish() }
    }

    // MARK: Records

    mutating func record(
        port: UInt16, _ point: FrameRecord.Point, of frame: UnsafePointer<Frame>?
    ) -> FrameRecord {
        var record = FrameRecord(port: port, point: point)
        record.time = time
        record.id = id(of: frame)
        return record
    }

    /// The number of a frame, by where it lies; 0 for one of the switch's own.
    private mutating func id(of frame: UnsafePointer<Frame>?) -> UInt64 {
        guard let frame else { return 0 }
        let place = frame - UnsafePointer(burst.frames)
        if place >= 0, place < Burst.capacity { return burstID &+ UInt64(place) }
        let foreign = frame - UnsafePointer(foreignFrames)
        return foreign >= 0 && foreign < Burst.capacity ? foreignIDs[foreign] : 0
    }
}
