import Wire

// Segments that arrive one after the other become super-frames again: what a network card does by
// large receive offload, under the rules that make it reversible.
//
// Cutting a super-frame that was made here gives the frames that went in, byte for byte but for
// the identification of IPv4 packets that must not be fragmented, which means nothing (RFC 6864
// section 4.1). So segments are merged only if
//
// - they have the same Ethernet, IP and TCP headers but for lengths, identification, sequence
//   number, PSH and checksums; no IPv4 options, no extension headers, no fragments, DF set;
// - their flags are ACK, or ACK and PSH, which ends the run, as does a segment that is shorter than
//   the first; a longer one does not join;
// - the sequence number is the one that follows;
// - the IPv4 header's and the TCP checksum of each verify. The merged frame gets a new one at the
//   end, so a damaged segment that was let in would become valid. It goes on alone, as it is. A
//   checksum that a kernel has left to be finished (`InnerOffload`) is as good as one that verifies;
// - the whole stays an IP packet of at most 65,535 bytes with at most
//   `Offload.maximumSegmentCount` segments.
//
// Order: frames of one flow leave in the order they came in. A run stands in the burst where its
// first segment was put, and later ones of the flow join it there, before frames of other flows
// that came in between. A frame of the flow that cannot join ends the run, and one that does not
// show its flow ends all.
//
// UDP is not merged: a receiver may tell datagrams that came together from those that did not.
//
// While a run is open its first frame's headers stay as they came, and its payload grows behind
// them; `finish()` makes the headers those of the whole. The payload is copied and summed in one
// pass. Nothing is allocated after `init`. Thread: the one that fills the burst.

/// Merges consecutive TCP segments while it puts frames into a burst.
package struct Coalescer: ~Copyable {
    /// A super-frame that may still grow.
    private struct Run {
        var frame: UnsafeMutablePointer<Frame>
        var domain: UInt16
        var ingress: UInt16
        var isIPv6: Bool
        var isPush = false
        var headerByteCount: Int
        /// Payload of the first segment.
        var gsoSize: Int
        var segmentCount = 1
        var nextSequenceNumber: UInt32

        /// The first segment's headers, and the payload of all.
        var bytes: UnsafeMutableRawPointer { frame.pointee.bytes }
        var byteCount: Int { Int(frame.pointee.byteCount) }
    }

    /// Runs that are open at one time: flows that take turns in one burst.
    package static let runLimit = 4
    private static let frameLimit = CoalescerSegment.networkOffset + 65_535

    private let runs: UnsafeMutablePointer<Run>
    private var runCount = 0
    /// The run that makes room for another when all are in use; they take turns.
    private var nextVictim = 0

    package init() { runs = .allocate(capacity: Coalescer.runLimit) }
    deinit { runs.deallocate() }

    /// Copies a complete frame (untagged, all its checksums complete) into the burst, or appends
    /// its payload to the run that it continues. False when the burst is full and the frame was
    /// not taken: call ``finish()``, forward the burst, and add it again.
    ///
    /// - Parameters:
    ///   - domain: the bridge domain that the frame arrived in; with
    ///   - ingress: the port that it arrived by, a part of what makes a flow.
    ///   - mtu: the network's, for what arrives unfinished.
    /// - Precondition: the frame has at most ``SlotSize/maximumFrame`` bytes.
    @inline(__always)
    package mutating func add(
        _ frame: UnsafeRawBufferPointer, domain: UInt16, ingress: UInt16, mtu: Int,
        to burst: inout Burst
    ) -> Bool {
        precondition(frame.count <= SlotSize.maximumFrame)
        switch CoalescerSegment.read(frame) {
        case .unrelated:
            break
        case .unclear:
            finish()
        case .segment(let segment):
            if let index = firstRun(of: segment, domain: domain, ingress: ingress) {
                if extend(index, by: segment) { return true }
                close(index)
            }
            if segment.isMergeable, segment.verifyNetworkHeader() {
                return open(segment, domain: domain, ingress: ingress, mtu: mtu, in: &burst)
            }
        }
        guard !burst.isFull else { return false }
        if let base = frame.baseAddress {
            burst.nextBytes.copyMemory(from: base, byteCount: frame.count)
        }
        burst.append(
            byteCount: frame.count, offload: InnerOffload.of(frame, mtu: mtu), domain: domain)
        return true
    }

    /// Ends every open run. Call it before anyone looks at the frames in the burst, and before the
    /// burst is cleared.
    package mutating func finish() {
        while runCount > 0 { close(runCount &- 1) }
    }

    @inline(__always)
    private func firstRun(
        of segment: CoalescerSegment, domain: UInt16, ingress: UInt16
    ) -> Int? {
        var index = 0
        while index < runCount {
            let run = runs + index
            if run.pointee.domain == domain, run.pointee.ingress == ingress,
                segment.isSameFlow(as: run.pointee.bytes, isIPv6: run.pointee.isIPv6)
            {
                return index
            }
            index &+= 1
        }
        return nil
    }

    /// Appends the payload to the run and ends it if the segment does; false, with nothing changed,
    /// when the segment cannot join.
    @inline(__always)
    private mutating func extend(_ index: Int, by segment: CoalescerSegment) -> Bool {
        let run = runs + index
        let byteCount = run.pointee.byteCount
        let payloadByteCount = segment.payloadByteCount
        guard segment.isMergeable, segment.headerByteCount == run.pointee.headerByteCount,
            segment.sequenceNumber == run.pointee.nextSequenceNumber,
            payloadByteCount <= run.pointee.gsoSize,
            byteCount &+ payloadByteCount <= Self.frameLimit,
            run.pointee.segmentCount < Offload.maximumSegmentCount,
            segment.hasSameHeaders(as: run.pointee.bytes), segment.verifyNetworkHeader()
        else { return false }
        var sum = segment.headerSum
        // Behind the end of the run: if the segment turns out to be damaged, nothing was written.
        sum.addCopying(
            from: segment.base + segment.headerByteCount, to: run.pointee.bytes + byteCount,
            byteCount: payloadByteCount)
        guard segment.verifies(sum) || segment.isPartial else { return false }
        run.pointee.frame.pointee.byteCount = UInt32(
            truncatingIfNeeded: byteCount &+ payloadByteCount)
        run.pointee.segmentCount &+= 1
        run.pointee.nextSequenceNumber &+= UInt32(truncatingIfNeeded: payloadByteCount)
        run.pointee.isPush = segment.isPush
        if segment.isPush || payloadByteCount < run.pointee.gsoSize { close(index) }
        return true
    }

    /// Puts a mergeable segment into the burst, and opens a run with it if others may follow.
    @inline(__always)
    private mutating func open(
        _ segment: CoalescerSegment, domain: UInt16, ingress: UInt16, mtu: Int,
        in burst: inout Burst
    ) -> Bool {
        guard !burst.isFull else { return false }
        let target = burst.nextBytes
        let headerByteCount = segment.headerByteCount
        target.copyMemory(from: segment.base, byteCount: headerByteCount)
        var sum = segment.headerSum
        sum.addCopying(
            from: segment.base + headerByteCount, to: target + headerByteCount,
            byteCount: segment.payloadByteCount)
        let isComplete = segment.verifies(sum)
        let offload =
            isComplete
            ? .none
            : InnerOffload.of(
                UnsafeRawBufferPointer(start: segment.base, count: segment.byteCount), mtu: mtu)
        burst.append(byteCount: segment.byteCount, offload: offload, domain: domain)
        guard isComplete || offload.needsChecksum, !offload.isGSO, !segment.isPush else {
            return true
        }
        if runCount == Self.runLimit {
            close(nextVictim)
            nextVictim = (nextVictim &+ 1) % Self.runLimit
        }
        (runs + runCount).initialize(
            to: Run(
                frame: burst.frames + (burst.count &- 1), domain: domain, ingress: ingress,
                isIPv6: segment.isIPv6, headerByteCount: headerByteCount,
                gsoSize: segment.payloadByteCount,
                nextSequenceNumber: segment.sequenceNumber
                    &+ UInt32(truncatingIfNeeded: segment.payloadByteCount)))
        runCount &+= 1
        return true
    }

    /// Takes the run out of the open ones and, if it is more than one segment, makes its headers
    /// those of a super-frame.
    @inline(__always)
    private mutating func close(_ index: Int) {
        let run = runs[index]
        runCount &-= 1
        runs[index] = runs[runCount]
        if run.segmentCount > 1 { Self.complete(run) }
    }

    private static func complete(_ run: Run) {
        let network = run.bytes + CoalescerSegment.networkOffset
        let networkByteCount = run.isIPv6 ? 40 : 20
        let transport = network + networkByteCount
        let packetByteCount = run.byteCount - CoalescerSegment.networkOffset
        let pseudo: InternetChecksum
        if run.isIPv6 {
            network.storeBigEndian(UInt16(truncatingIfNeeded: packetByteCount - 40), at: 4)
            pseudo = .pseudoHeader(
                ipv6: network, transportProtocol: .tcp, byteCount: packetByteCount - 40)
        } else {
            network.storeBigEndian(UInt16(truncatingIfNeeded: packetByteCount), at: 2)
            network.storeBigEndian(UInt16(0), at: 10)
            var sum = InternetChecksum()
            sum.add(UnsafeRawPointer(network), byteCount: 20)
            network.storeBigEndian(sum.value, at: 10)
            pseudo = .pseudoHeader(
                ipv4: network, transportProtocol: .tcp, byteCount: packetByteCount - 20)
        }
        if run.isPush {
            let flags = transport.load(fromByteOffset: 13, as: UInt8.self)
            transport.storeBytes(
                of: flags | TCPFlags.psh.rawValue, toByteOffset: 13, as: UInt8.self)
        }
        // What virtio wants of a checksum that is still to be completed (1.3 section 5.1.6.2).
        transport.storeBigEndian(pseudo.folded, at: 16)
        let transportOffset = CoalescerSegment.networkOffset + networkByteCount
        run.frame.pointee.offload = Offload(
            flags: Offload.needsChecksum,
            gsoType: run.isIPv6 ? Offload.gsoTCPv6 : Offload.gsoTCPv4,
            headerByteCount: UInt16(truncatingIfNeeded: run.headerByteCount),
            gsoSize: UInt16(truncatingIfNeeded: run.gsoSize),
            checksumStart: UInt16(truncatingIfNeeded: transportOffset), checksumOffset: 16)
    }
}
