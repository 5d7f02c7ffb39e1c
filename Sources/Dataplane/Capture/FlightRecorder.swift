import Synchronization

/// The last seconds of traffic, always at hand: of every frame its first bytes, where it came in, and
/// what became of it.
///
/// Theory of operation: per worker a ring of fixed records, in which the newest overwrites the oldest;
/// memory is bounded and all of it is there from the start. Under little load every frame is recorded.
/// Under much load a token bucket lets a part of them in: as many as keep the ring from going round in
/// less than ``secondsKept``; what it leaves out is counted. A burst asks the bucket once, so a frame
/// that is left out costs a comparison.
///
/// Readers take a copy without stopping the worker: they copy the ring and throw away what may have
/// been overwritten meanwhile. A record that a worker writes just then is never among what they keep.
package final class FlightRecorder: @unchecked Sendable {
    // @unchecked: see the rings.

    /// What stays at hand at least, however many frames there are.
    package static let secondsKept = 10
    /// Bytes kept of a frame: link, network and transport header, usually.
    package static let snapLength = FlightRing.snapLength

    let rings: [FlightRing]

    /// - Parameter recordCount: per worker; a power of two.
    package init(workers: Int, recordCount: Int = 1 << 17) {
        rings = (0..<workers).map { _ in FlightRing(recordCount: recordCount) }
    }

    deinit {
        for ring in rings { ring.deallocate() }
    }

    /// Everything recorded at or after monotonic `time`, in order of time; of each worker the newest
    /// `limit` frames.
    package func frames(since time: UInt64, limit: Int = .max) -> [RecordedFrame] {
        var found: [RecordedFrame] = []
        for ring in rings { ring.collect(since: time, limit: limit, into: &found) }
        if rings.count > 1 { found.sort { $0.record.time < $1.record.time } }
        return found
    }

    /// Frames that passed without being recorded.
    package var skippedCount: UInt64 { rings.reduce(0) { $0 &+ $1.skippedCount } }

    /// Frames recorded since the start, overwritten ones too.
    package var recordedCount: UInt64 { rings.reduce(0) { $0 &+ $1.recordedCount } }
}

/// A frame out of the recorder or the ledger.
package struct RecordedFrame: Sendable {
    package var record: FrameRecord
    /// Its first bytes, without a tag that was taken from them.
    package var bytes: [UInt8]

    package init(record: FrameRecord, bytes: [UInt8]) {
        self.record = record
        self.bytes = bytes
    }
}

/// One worker's ring of the ``FlightRecorder``, which owns its memory: constant pointers, which a
/// worker keeps for as long as it keeps the snapshot.
struct FlightRing: @unchecked Sendable {
    // @unchecked: the counters are atomic; `fullAt` is the worker's; records are written by the worker
    // alone, and of what readers copy they keep nothing that it may have touched meanwhile.

    /// Counters that others read.
    private struct State: ~Copyable {
        /// Records written since the start.
        let next = Atomic<UInt64>(0)
        let skipped = Atomic<UInt64>(0)
    }

    static let stride = 160
    static let snapLength = stride - MemoryLayout<FrameRecord>.stride
    /// Nanoseconds of one token: a power of two, about 6500 frames a second for 2^17 records.
    private let tokenShift: UInt64
    private let depth: UInt64
    private let mask: UInt64
    private let memory: UnsafeMutableRawPointer
    private let state: UnsafeMutablePointer<State>
    /// When the bucket will be full; the worker's.
    private let fullAt: UnsafeMutablePointer<UInt64>

    init(recordCount: Int) {
        precondition(recordCount >= 64 && recordCount & (recordCount - 1) == 0)
        mask = UInt64(recordCount - 1)
        // Half of the ring for what comes at once, half for what trickles in over the time kept.
        depth = UInt64(recordCount / 2)
        let interval = UInt64(FlightRecorder.secondsKept) * 1_000_000_000 / depth
        tokenShift = UInt64(64 - interval.leadingZeroBitCount)
        memory = .allocate(byteCount: recordCount * FlightRing.stride, alignment: 64)
        memory.initializeMemory(
            as: UInt8.self, repeating: 0, count: recordCount * FlightRing.stride)
        fullAt = .allocate(capacity: 1)
        fullAt.initialize(to: 0)
        state = .allocate(capacity: 1)
        state.initialize(to: State())
    }

    func deallocate() {
        memory.deallocate()
        fullAt.deallocate()
        state.deallocate()
    }

    var skippedCount: UInt64 { state.pointee.skipped.load(ordering: .relaxed) }
    var recordedCount: UInt64 { state.pointee.next.load(ordering: .relaxed) }

    /// Worker: how many of `count` frames may be recorded now, which count as recorded then.
    @inline(__always)
    func admit(_ count: Int, at time: UInt64) -> Int {
        let full = max(fullAt.pointee, time)
        let used = (full &- time) >> tokenShift
        let granted = min(UInt64(count), depth &- min(used, depth))
        fullAt.pointee = full &+ granted << tokenShift
        if granted < UInt64(count) {
            state.pointee.skipped.store(
                state.pointee.skipped.load(ordering: .relaxed) &+ (UInt64(count) &- granted),
                ordering: .relaxed)
        }
        return Int(granted)
    }

    /// Worker: records a frame.
    @inline(__always)
    func append(_ record: FrameRecord, _ bytes: UnsafeRawBufferPointer) {
        let index = state.pointee.next.load(ordering: .relaxed)
        let place = memory + Int(index & mask) * FlightRing.stride
        let byteCount = min(bytes.count, FlightRing.snapLength)
        place.storeBytes(of: record, as: FrameRecord.self)
        (place + (MemoryLayout<FrameRecord>.offset(of: \.capturedByteCount) ?? 0)).storeBytes(
            of: UInt32(truncatingIfNeeded: byteCount), as: UInt32.self)
        if let base = bytes.baseAddress {
            (place + MemoryLayout<FrameRecord>.stride).copyMemory(from: base, byteCount: byteCount)
        }
        state.pointee.next.store(index &+ 1, ordering: .releasing)
    }

    /// Any thread: adds what was recorded at or after `time`.
    func collect(since time: UInt64, limit: Int, into found: inout [RecordedFrame]) {
        let end = state.pointee.next.load(ordering: .acquiring)
        let capacity = mask &+ 1
        let count = min(capacity, UInt64(limit))
        let start = end > count ? end &- count : 0
        let first = found.count
        var indices: [UInt64] = []
        for index in start..<end {
            let place = memory + Int(index & mask) * FlightRing.stride
            let record = place.load(as: FrameRecord.self)
            guard record.time >= time else { continue }
            let byteCount = min(Int(record.capturedByteCount), FlightRing.snapLength)
            found.append(
                RecordedFrame(
                    record: record,
                    bytes: [UInt8](
                        UnsafeRawBufferPointer(
                            start: place + MemoryLayout<FrameRecord>.stride, count: byteCount))))
            indices.append(index)
        }
        atomicMemoryFence(ordering: .acquiring)
        // Whatever the worker may have begun to overwrite since is not to be trusted.
        let now = state.pointee.next.load(ordering: .relaxed)
        let torn = indices.prefix { $0 &+ capacity <= now }.count
        found.removeSubrange(first..<first + torn)
    }
}
