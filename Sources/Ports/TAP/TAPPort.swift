import CLinux
import Dataplane
import Glibc

/// A port on a TAP device whose other end is a network interface of a namespace or of the host.
///
/// Every frame crosses with a 12-byte virtio-net header, so that 64 KiB super-frames and partial
/// checksums pass whole. One `read` or `write` per frame: a TAP descriptor has no batched call.
/// Reads stop at the first would-block; a write that the kernel refuses ends that copy alone.
package final class TAPPort: Port, Sendable {
    package let device: TAPDevice
    package let offloads: OffloadSet

    package init(device: TAPDevice) {
        self.device = device
        offloads = OffloadSet(device.offloads)
    }

    package var pollDescriptor: Int32? { device.descriptor.rawValue }

    package func receive(into burst: inout Burst) -> ReceiveOutcome {
        let header = SlotSize.vnetHeader
        while !burst.isFull {
            let bytes = burst.nextBytes
            let count = clinux_read(
                device.descriptor.rawValue, bytes - header, header + SlotSize.maximumFrame)
            if count < 0 {
                switch errno {
                case EAGAIN: return .drained
                case EINTR: continue
                default:
                    return .ended
                }
            }
            guard count >= header else { continue }
            burst.append(byteCount: count - header, offload: Offload(wire: bytes - header))
        }
        return .more
    }

    package func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) {
        for index in entries.indices {
            let written = write(entries[index])
            entries[index].outcome = written >= 0 ? .none : TAPPort.reason(errno)
        }
    }

    private func write(_ entry: TransmitEntry) -> Int {
        if entry.bodyByteCount == 0 {
            return clinux_write(device.descriptor.rawValue, entry.head, entry.headByteCount)
        }
        return withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { pieces in
            pieces.initializeElement(
                at: 0, to: iovec(iov_base: entry.head, iov_len: entry.headByteCount))
            pieces.initializeElement(
                at: 1, to: iovec(iov_base: entry.body, iov_len: entry.bodyByteCount))
            return clinux_writev(device.descriptor.rawValue, pieces.baseAddress, 2)
        }
    }

    /// tun(4) answers EIO while the device is down and EBADFD when it is gone.
    private static func reason(_ error: Int32) -> DropReason {
        switch error {
        case EAGAIN, ENOBUFS, ENOMEM: .egressFull
        case EIO, EBADFD, ENXIO: .egressDown
        default: .egressRejected
        }
    }
}

extension OffloadSet {
    /// What a TAP's reader declared that it takes; UDP super-frames count only when both IP
    /// versions do.
    init(_ offloads: TAPOffloads) {
        self = []
        if offloads.contains(.checksum) { insert(.checksum) }
        if offloads.contains(.tso4) { insert(.tso4) }
        if offloads.contains(.tso6) { insert(.tso6) }
        if offloads.contains(.tsoECN) { insert(.tsoECN) }
        if offloads.contains(.uso) { insert(.uso) }
    }
}
