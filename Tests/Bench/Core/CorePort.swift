import Dataplane

/// A port that costs as little as a port can: received frames are copied from memory into the
/// burst's slots, as the kernel copies those of a TAP, and transmitted ones are only marked as such.
final class CorePort: Port, @unchecked Sendable {
    // @unchecked: all calls come from the one thread of the benchmark.

    /// What the port gives next, and what it does with what it gets; one for all ports.
    struct Wiring {
        var frames: UnsafeMutableRawPointer
        var byteCounts: UnsafeMutablePointer<UInt32>
        /// Frames that wait to be received, from `frames` on.
        var count: Int
        /// Whether transmitted frames are added to `digest`.
        var isRecording: Bool
        var digest: CoreDigest
    }

    let offloads: OffloadSet = []
    let pollDescriptor: Int32? = nil
    private let number: UInt64
    private let wiring: UnsafeMutablePointer<Wiring>

    init(number: Int, wiring: UnsafeMutablePointer<Wiring>) {
        self.number = UInt64(number)
        self.wiring = wiring
    }

    func receive(into burst: inout Burst) -> ReceiveOutcome {
        let slots = burst.emptySlots
        let count = min(wiring.pointee.count, slots.count)
        let source = wiring.pointee.frames
        let offset = SlotSize.headroom - SlotSize.vnetHeader
        for place in 0..<count {
            (slots[place] + offset).copyMemory(
                from: source + place * CoreInput.stride, byteCount: 12 + CoreInput.frameByteCount)
        }
        burst.append(
            vnetFrames: UnsafeBufferPointer(start: wiring.pointee.byteCounts, count: count))
        wiring.pointee.count -= count
        return .drained
    }

    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        for place in 0..<entries.count { entries[place].outcome = .none }
        if wiring.pointee.isRecording { record(entries) }
    }

    private func record(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        for entry in entries {
            wiring.pointee.digest.add(number)
            wiring.pointee.digest.add(entry.head, byteCount: entry.headByteCount)
            wiring.pointee.digest.add(entry.body, byteCount: entry.bodyByteCount)
        }
    }
}
