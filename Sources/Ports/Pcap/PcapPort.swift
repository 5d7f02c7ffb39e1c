import CLinux
import Capture
import Dataplane
import Glibc
import SystemPackage

/// A port on capture files: frames of one enter the switch, frames that leave go to another.
///
/// The input is replayed as fast as the switch takes it, once, and without regard to its time
/// stamps; a record that was cut short, or longer than a slot, is skipped. Output is written with
/// the time of its transmission, and flushed once per burst.
package final class PcapPort: Port, @unchecked Sendable {
    // @unchecked: the reader and the writer are used by the worker that owns the port only.
    private var reader: PcapReader?
    private var writer: PcapFileWriter?
    package let offloads: OffloadSet = []
    package let pollDescriptor: Int32? = nil

    /// Opens both files; nil for a direction that is not wanted.
    ///
    /// What does not fit into a pipe is dropped: its reader may have stopped, and a worker that
    /// waited for it would stop the other ports as well. A pipe that nobody reads is an error.
    package init(reading: String?, writing: String?) throws(PcapFileError) {
        if let reading { reader = try PcapReader(path: reading) }
        if let writing { writer = try PcapFileWriter(path: writing, isBlocking: false) }
    }

    package func receive(into burst: inout Burst) -> ReceiveOutcome {
        guard reader != nil else { return .ended }
        while !burst.isFull {
            let room = UnsafeMutableRawBufferPointer(
                start: burst.nextBytes, count: SlotSize.maximumFrame)
            do {
                guard let frame = try reader?.next(into: room) else {
                    reader = nil
                    return .ended
                }
                guard frame.capturedByteCount == Int(frame.originalByteCount),
                    frame.byteCount == frame.capturedByteCount
                else { continue }
                burst.append(byteCount: frame.byteCount, offload: .none)
            } catch {
                reader = nil
                return .ended
            }
        }
        return .more
    }

    package func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let time = UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
        withUnsafeTemporaryAllocation(byteCount: SlotSize.maximumFrame, alignment: 16) { buffer in
            for index in entries.indices {
                guard let base = buffer.baseAddress, writer != nil else {
                    entries[index].outcome = .egressDown
                    continue
                }
                let byteCount = entries[index].copyFrame(to: base, capacity: buffer.count)
                do {
                    try writer?.append(
                        UnsafeRawBufferPointer(start: base, count: byteCount),
                        originalByteCount: UInt32(byteCount), timestampNanoseconds: time)
                    entries[index].outcome = .none
                } catch PcapFileError.cannotWrite(_, .resourceTemporarilyUnavailable) {
                    entries[index].outcome = .egressFull
                } catch {
                    entries[index].outcome = .egressRejected
                }
            }
        }
        try? writer?.flush()
    }
}
