/// A running capture as the dataplane sees it: which frames, where, how much of each, and a ring per
/// worker to put them in.
///
/// A tap is part of a ``Snapshot``; while a snapshot has none, forwarding pays one flag test per
/// burst for them.
package final class CaptureTap: @unchecked Sendable {
    // @unchecked: constants, and a countdown per worker that the worker alone touches.

    /// Captures that may run at once.
    package static let limit = 16

    package struct Points: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let ingress = Points(rawValue: 1)
        package static let egress = Points(rawValue: 2)
        package static let drop = Points(rawValue: 4)
    }

    package let snapLength: Int
    package let points: Points
    package let rings: [CaptureRing]
    /// Nil lets everything pass.
    package let filter: FilterProgram?
    /// One of so many received frames is taken, chosen at random; 1 takes all.
    package let samplingInterval: UInt32
    /// Nil is every port there is and every one that comes.
    private let portNumbers: Set<UInt16>?
    /// A bit per drop reason.
    private let reasons: UInt64
    private let samplers: UnsafeMutablePointer<Sampler>

    /// Of one worker.
    private struct Sampler {
        /// Frames until the next is taken.
        var countdown: Int
        var random: UInt64
        /// Frames that were there to be chosen from.
        var pool: UInt64 = 0
    }

    /// - Parameters:
    ///   - ports: nil for all.
    ///   - reasons: of drops; empty for all of them.
    ///   - snapLength: bytes kept of each frame at most.
    ///   - samplingInterval: above 1 for one of so many, at ingress only.
    ///   - ringByteCount: a power of two, per worker.
    package init(
        ports: Set<UInt16>?, points: Points = [.ingress, .egress],
        reasons: Set<DropReason> = [], filter: FilterProgram? = nil, snapLength: Int,
        samplingInterval: UInt32 = 1, workers: Int, portCapacity: Int = 4096,
        ringByteCount: Int = 4 << 20
    ) {
        portNumbers = ports
        self.points = points
        self.filter = filter
        self.snapLength = max(1, min(snapLength, SlotSize.maximumFrame))
        self.samplingInterval = max(1, samplingInterval)
        self.reasons =
            reasons.isEmpty ? .max : reasons.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
        rings = (0..<workers).map { _ in
            CaptureRing(capacity: ringByteCount, portCapacity: portCapacity)
        }
        samplers = .allocate(capacity: workers)
        for worker in 0..<workers {
            (samplers + worker).initialize(
                to: Sampler(countdown: 0, random: UInt64.random(in: 1 ... .max)))
            samplers[worker].countdown = nextSkip(worker)
        }
    }

    deinit { samplers.deallocate() }

    /// Whether frames of the port are copied whole, as they pass.
    package func covers(port: UInt16) -> Bool {
        samplingInterval == 1 && !points.isDisjoint(with: [.ingress, .egress]) && includes(port)
    }

    /// Whether some of the frames that the port receives are.
    package func samples(port: UInt16) -> Bool { samplingInterval > 1 && includes(port) }

    package func includes(_ port: UInt16) -> Bool { portNumbers?.contains(port) ?? true }

    /// Whether a drop at that port is to be copied.
    func wants(_ reason: DropReason, at port: UInt16) -> Bool {
        points.contains(.drop) && reasons & 1 << UInt64(reason.rawValue) != 0 && includes(port)
    }

    /// Records that found no room in the rings, by port.
    package var dropped: [UInt16: UInt64] {
        var result: [UInt16: UInt64] = [:]
        for port in 0..<UInt16(clamping: rings.first?.portCapacity ?? 0) where includes(port) {
            let lost = rings.reduce(0) { $0 + $1.dropped(port: port) }
            if lost > 0 { result[port] = lost }
        }
        return result
    }

    /// Frames that the filter rejected, by port.
    package func rejected(port: UInt16) -> UInt64 {
        rings.reduce(0) { $0 + $1.rejected(port: port) }
    }

    /// Frames among which one of ``samplingInterval`` was chosen.
    package var samplePool: UInt64 {
        rings.indices.reduce(0) { $0 &+ samplers[$1].pool }
    }

    /// Worker: the next of a burst's frames to take, from `place` on; nil when none is.
    @inline(__always)
    func nextSample(from place: Int, count: Int, worker: Int) -> Int? {
        let sampler = samplers + worker
        let left = count - place
        guard sampler.pointee.countdown < left else {
            sampler.pointee.countdown -= left
            sampler.pointee.pool &+= UInt64(left)
            return nil
        }
        let found = place + sampler.pointee.countdown
        sampler.pointee.pool &+= UInt64(sampler.pointee.countdown + 1)
        sampler.pointee.countdown = nextSkip(worker)
        return found
    }

    /// Uniform between 0 and twice the mean, so that no period in the traffic is mistaken for it.
    private func nextSkip(_ worker: Int) -> Int {
        // xorshift64 (Marsaglia 2003).
        var word = samplers[worker].random
        word ^= word << 13
        word ^= word >> 7
        word ^= word << 17
        samplers[worker].random = word
        return Int(word % UInt64(2 * samplingInterval - 1))
    }
}
