import CLinux
import Glibc

@testable import Dataplane
@testable import Ports

/// A frame to be sent by a port, or one that it received.
struct TestFrame {
    var bytes: [UInt8]
    var offload = Offload.none
    /// Where the frame is cut into head, body and pieces of the tail.
    var cuts: [Int] = []

    /// Receives so many frames, or those that come within two seconds. What was borrowed is gathered.
    static func receive(_ count: Int, from port: some Port) -> [TestFrame] {
        var pool = FramePool(capacity: Burst.capacity)
        var burst = Burst()
        defer { burst.drain(into: &pool) }
        var result: [TestFrame] = []
        for _ in 0..<2000 {
            burst.refill(from: &pool)
            _ = port.receive(into: &burst)
            for place in 0..<burst.count {
                burst.frames[place].gather()
                let frame = burst.frames[place]
                result.append(TestFrame(bytes: Array(frame.buffer), offload: frame.offload))
            }
            let wasEmpty = burst.count == 0
            burst.clear()
            port.releaseBurst()
            if result.count >= count { break }
            if wasEmpty { usleep(1000) }
        }
        return result
    }

    /// Whether there is nothing to receive, and that is not for ever.
    static func isDrained(_ port: some Port) -> Bool {
        var pool = FramePool(capacity: Burst.capacity)
        var burst = Burst()
        defer { burst.drain(into: &pool) }
        burst.refill(from: &pool)
        let outcome = port.receive(into: &burst)
        defer { port.releaseBurst() }
        return outcome == .drained && burst.count == 0
    }

    /// The ten bytes of an offload's vnet header.
    static func header(_ offload: Offload) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: SlotSize.vnetHeader)
        bytes.withUnsafeMutableBytes { bytes in
            if let base = bytes.baseAddress { offload.store(to: base) }
        }
        return Array(bytes[..<10])
    }

    /// Transmits frames by one call; their outcomes, in words.
    static func transmit(_ frames: [TestFrame], by port: some Port) -> [String] {
        var memory: [UnsafeMutableRawPointer] = []
        var tails: [UnsafeMutablePointer<FrameSegment>] = []
        var entries: [TransmitEntry] = []
        for frame in frames {
            let start = UnsafeMutableRawPointer.allocate(
                byteCount: frame.bytes.count + SlotSize.vnetHeader, alignment: 16)
            memory.append(start)
            frame.offload.store(to: start)
            let bytes = start + SlotSize.vnetHeader
            bytes.copyMemory(from: frame.bytes, byteCount: frame.bytes.count)
            let ends = frame.cuts.filter { $0 < frame.bytes.count } + [frame.bytes.count]
            let bodyEnd = ends.count > 1 ? ends[1] : ends[0]
            let tail = UnsafeMutablePointer<FrameSegment>.allocate(capacity: ends.count)
            tails.append(tail)
            for place in 2..<max(ends.count, 2) {
                (tail + (place - 2)).initialize(
                    to: FrameSegment(
                        bytes: UnsafeRawPointer(bytes + ends[place - 1]),
                        byteCount: ends[place] - ends[place - 1]))
            }
            entries.append(
                TransmitEntry(
                    head: start, headByteCount: ends[0] + SlotSize.vnetHeader,
                    body: bytes + ends[0], bodyByteCount: bodyEnd - ends[0],
                    tail: ends.count > 2 ? UnsafePointer(tail) : nil,
                    tailByteCount: UInt32(frame.bytes.count - bodyEnd),
                    tailCount: UInt16(max(ends.count - 2, 0)),
                    // So that one which is not set is found.
                    outcome: .runt))
        }
        entries.withUnsafeMutableBufferPointer { port.transmit($0) }
        for one in memory { one.deallocate() }
        for one in tails { one.deallocate() }
        return entries.map(\.outcome.name)
    }
}
