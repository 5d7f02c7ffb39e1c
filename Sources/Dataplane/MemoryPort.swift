import Synchronization

/// A port in memory: frames are put in by hand, and what the switch transmits is kept or counted.
///
/// It stands in for a device in tests, benchmarks and replays. Input and output are bounded rings of
/// fixed slots, so that a port in use allocates nothing. Calls from outside the worker's thread are
/// safe on one feeding and one draining thread.
package final class MemoryPort: Port, @unchecked Sendable {
    // @unchecked: constant pointers; each ring has one producer and one consumer.

    private struct Stored: BitwiseCopyable {
        var slot: UnsafeMutableRawPointer
        var byteCount: Int
        var offload: Offload
    }

    package let offloads: OffloadSet
    package let pollDescriptor: Int32? = nil

    private let slotByteCount: Int
    private let memory: UnsafeMutableRawPointer
    private let freeInput: SPSCRing<UnsafeMutableRawPointer>
    private let input: SPSCRing<Stored>
    private let freeOutput: SPSCRing<UnsafeMutableRawPointer>
    private let output: SPSCRing<Stored>
    private let keepsOutput: Bool
    private let transmittedFrames = Atomic<Int>(0)

    /// - Parameters:
    ///   - depth: frames that fit into each direction's ring; a power of two.
    ///   - slotByteCount: the longest frame.
    ///   - keepsOutput: whether transmitted frames wait to be taken; otherwise they are counted and
    ///     forgotten.
    package init(
        offloads: OffloadSet = [], depth: Int = 256, slotByteCount: Int = 2048,
        keepsOutput: Bool = true
    ) {
        self.offloads = offloads
        self.slotByteCount = slotByteCount
        self.keepsOutput = keepsOutput
        memory = .allocate(byteCount: 2 * depth * slotByteCount, alignment: 64)
        freeInput = SPSCRing(capacity: depth)
        input = SPSCRing(capacity: depth)
        freeOutput = SPSCRing(capacity: depth)
        output = SPSCRing(capacity: depth)
        for index in 0..<depth {
            _ = freeInput.push(memory + 2 * index * slotByteCount)
            _ = freeOutput.push(memory + (2 * index + 1) * slotByteCount)
        }
    }

    deinit { memory.deallocate() }

    /// Frames transmitted to this port since the start.
    package var transmittedCount: Int { transmittedFrames.load(ordering: .relaxed) }

    /// Feeding thread: puts a frame in; false when the input ring is full.
    package func put(_ frame: UnsafeRawBufferPointer, offload: Offload = .none) -> Bool {
        guard frame.count <= slotByteCount, let slot = freeInput.pop() else { return false }
        if let base = frame.baseAddress { slot.copyMemory(from: base, byteCount: frame.count) }
        return input.push(Stored(slot: slot, byteCount: frame.count, offload: offload))
    }

    package func put(_ frame: [UInt8], offload: Offload = .none) -> Bool {
        frame.withUnsafeBytes { put($0, offload: offload) }
    }

    /// Draining thread: takes the oldest transmitted frame; nil when there is none.
    package func take() -> (frame: [UInt8], offload: Offload)? {
        guard let stored = output.pop() else { return nil }
        let frame = [UInt8](
            UnsafeRawBufferPointer(start: stored.slot, count: stored.byteCount))
        _ = freeOutput.push(stored.slot)
        return (frame, stored.offload)
    }

    package func receive(into burst: inout Burst) -> ReceiveOutcome {
        while !burst.isFull {
            guard let stored = input.pop() else { return .drained }
            burst.nextBytes.copyMemory(from: stored.slot, byteCount: stored.byteCount)
            burst.append(byteCount: stored.byteCount, offload: stored.offload)
            _ = freeInput.push(stored.slot)
        }
        return .more
    }

    package func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        for index in entries.indices {
            guard keepsOutput else {
                entries[index].outcome = .none
                continue
            }
            let byteCount = entries[index].frameByteCount
            guard byteCount <= slotByteCount else {
                entries[index].outcome = .egressRejected
                continue
            }
            guard let slot = freeOutput.pop() else {
                entries[index].outcome = .egressFull
                continue
            }
            _ = entries[index].copyFrame(to: slot, capacity: slotByteCount)
            let stored = Stored(
                slot: slot, byteCount: byteCount, offload: Offload(wire: entries[index].head))
            entries[index].outcome = output.push(stored) ? .none : .egressFull
        }
        transmittedFrames.add(entries.count, ordering: .relaxed)
    }
}
