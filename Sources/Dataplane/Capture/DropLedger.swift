import Synchronization

/// What one worker keeps of the frames that ended at it, beside the counters: when a reason first and
/// last struck at a port, and the last few frames.
///
/// Frames are kept in groups of eight, and which group is a hash of port and reason: a flood that is
/// dropped at one port pushes out its own frames only, but for chance neighbours. Of one group a
/// tenth of a second keeps four frames at most, so that dropping at full rate stays cheap.
package final class DropLedger: @unchecked Sendable {
    // @unchecked: constant pointers. Times are atomic; frames are read under a sequence.

    private static let groupCount = 256
    private static let groupSize = 8
    /// Frames of one group in one tick.
    private static let perTick: UInt32 = 4
    /// Bytes kept of a frame.
    package static let snapLength = 192
    private static let stride = 256

    private struct Group: ~Copyable {
        /// Odd while a frame is written; half of it is how many have been.
        let sequence: Atomic<UInt32>
        var tick: UInt32
        var taken: UInt32
    }

    private let times: UnsafeMutablePointer<Atomic<UInt64>>
    private let groups: UnsafeMutablePointer<Group>
    private let frames: UnsafeMutableRawPointer

    package init(portCapacity: Int) {
        let count = portCapacity * DropReason.allCases.count
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        words.initialize(repeating: 0, count: count)
        times = UnsafeMutableRawPointer(words).bindMemory(to: Atomic<UInt64>.self, capacity: count)
        groups = .allocate(capacity: DropLedger.groupCount)
        for place in 0..<DropLedger.groupCount {
            (groups + place).initialize(to: Group(sequence: Atomic(0), tick: 0, taken: 0))
        }
        let byteCount = DropLedger.groupCount * DropLedger.groupSize * DropLedger.stride
        frames = .allocate(byteCount: byteCount, alignment: 64)
        frames.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    deinit {
        times.deallocate()
        groups.deallocate()
        frames.deallocate()
    }

    private static func group(_ reason: DropReason, _ port: UInt16) -> Int {
        let word = (UInt32(port) << 8 | UInt32(reason.rawValue)) &* 0x9E37_79B1
        return Int(word >> 24)
    }

    /// Worker: notes the tick of a drop; true when its frame is wanted as well.
    func note(_ reason: DropReason, port: UInt16, tick: UInt32) -> Bool {
        let word = times + Int(port) * DropReason.allCases.count + Int(reason.rawValue)
        let known = word.pointee.load(ordering: .relaxed)
        // The first tick stays in the high half; 0 stands for none.
        let first = known == 0 ? UInt64(max(tick, 1)) << 32 : known & 0xFFFF_FFFF_0000_0000
        word.pointee.store(first | UInt64(tick), ordering: .relaxed)
        let group = groups + DropLedger.group(reason, port)
        if group.pointee.tick != tick {
            group.pointee.tick = tick
            group.pointee.taken = 0
        }
        guard group.pointee.taken < DropLedger.perTick else { return false }
        group.pointee.taken += 1
        return true
    }

    /// Worker: keeps a frame that was wanted.
    func keep(_ record: FrameRecord, _ bytes: UnsafeRawBufferPointer) {
        let number = DropLedger.group(record.reason, record.port)
        let sequence = groups[number].sequence.load(ordering: .relaxed)
        groups[number].sequence.store(sequence &+ 1, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
        let place =
            frames + (number * DropLedger.groupSize + Int(sequence / 2) % DropLedger.groupSize)
            * DropLedger.stride
        var record = record
        record.capturedByteCount = UInt32(min(bytes.count, DropLedger.snapLength))
        place.storeBytes(of: record, as: FrameRecord.self)
        if let base = bytes.baseAddress {
            (place + MemoryLayout<FrameRecord>.stride).copyMemory(
                from: base, byteCount: Int(record.capturedByteCount))
        }
        groups[number].sequence.store(sequence &+ 2, ordering: .releasing)
    }

    /// The ticks at which a reason first and last struck at a port; nil for never.
    package func times(_ reason: DropReason, port: UInt16) -> (first: UInt32, last: UInt32)? {
        let word = times[Int(port) * DropReason.allCases.count + Int(reason.rawValue)]
            .load(ordering: .relaxed)
        guard word != 0 else { return nil }
        return (UInt32(word >> 32), UInt32(truncatingIfNeeded: word))
    }

    /// The last frames of that reason at that port, oldest first. Any thread.
    package func frames(_ reason: DropReason, port: UInt16) -> [(FrameRecord, [UInt8])] {
        let number = DropLedger.group(reason, port)
        for _ in 0..<64 {
            let before = groups[number].sequence.load(ordering: .acquiring)
            if before & 1 == 1 { continue }
            let found = read(number, count: Int(before / 2)).filter {
                $0.0.reason == reason && $0.0.port == port
            }
            atomicMemoryFence(ordering: .acquiring)
            if groups[number].sequence.load(ordering: .relaxed) == before { return found }
        }
        // Dropped faster than read: nothing rather than something torn.
        return []
    }

    private func read(_ number: Int, count: Int) -> [(FrameRecord, [UInt8])] {
        (max(0, count - DropLedger.groupSize)..<count).map { index in
            let place =
                frames + (number * DropLedger.groupSize + index % DropLedger.groupSize)
                * DropLedger.stride
            let record = place.load(as: FrameRecord.self)
            let byteCount = min(Int(record.capturedByteCount), DropLedger.snapLength)
            return (
                record,
                [UInt8](
                    UnsafeRawBufferPointer(
                        start: place + MemoryLayout<FrameRecord>.stride, count: byteCount))
            )
        }
    }
}
