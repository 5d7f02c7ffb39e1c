import CLinux
import Dataplane
import Glibc

/// The sending half of a ``PacketPort``: sendmmsg(2) of vnet header and frame, each frame in the
/// pieces in which the switch has it. The owning worker's alone.
///
/// There is no ring for sending: with one (PACKET_TX_RING) the kernel sends the ring's own pages, and
/// gives a slot back when the frame enters another device's stack, where a receiver may not yet have
/// read it. Between a veth's ends or into a TAP the next frame would overwrite it.
final class PacketSender: @unchecked Sendable {
    // @unchecked: constant pointers to memory that only the owning worker touches.

    private let socket: Int32
    private let messages: UnsafeMutablePointer<mmsghdr>
    private let pieces: UnsafeMutablePointer<iovec>

    private static let pieceCapacity = 2 * Burst.capacity + Burst.segmentCapacity
    /// What the kernel takes for one message (UIO_MAXIOV).
    private static let pieceLimit = 1024

    init(socket: Int32) {
        self.socket = socket
        messages = .allocate(capacity: Burst.capacity)
        messages.initialize(repeating: mmsghdr(), count: Burst.capacity)
        pieces = .allocate(capacity: PacketSender.pieceCapacity)
        pieces.initialize(repeating: iovec(), count: PacketSender.pieceCapacity)
    }

    deinit {
        messages.deallocate()
        pieces.deallocate()
    }

    /// Sends all entries; true when the kernel refused one as malformed that was a UDP super-frame.
    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) -> Bool {
        var hasRefusedUSO = false
        var first = 0
        while first < entries.count {
            let count = prepare(entries, from: first)
            guard count > 0 else {
                entries[first].outcome = .egressRejected
                first += 1
                continue
            }
            if send(entries, from: first, count: count) { hasRefusedUSO = true }
            first += count
        }
        return hasRefusedUSO
    }

    /// Describes as many entries as fit, at most a burst, as messages; 0 when the first is in too many
    /// pieces for the kernel.
    @inline(__always)
    private func prepare(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, from first: Int
    ) -> Int {
        var count = 0
        var piece = pieces
        var room = PacketSender.pieceCapacity
        while count < Burst.capacity, first + count < entries.count {
            let entry = entries[first + count]
            let needed = 2 + Int(entry.tailCount)
            guard needed <= min(room, PacketSender.pieceLimit) else { break }
            let start = piece
            // The socket's vnet header lacks the last two of the twelve bytes: move the others up.
            let head = entry.head + (SlotSize.vnetHeader - PacketRing.vnetHeader)
            let low = entry.head.loadUnaligned(as: UInt64.self)
            let high = entry.head.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
            head.storeBytes(of: low, as: UInt64.self)
            head.storeBytes(of: high, toByteOffset: 8, as: UInt16.self)
            piece.pointee = iovec(
                iov_base: head,
                iov_len: entry.headByteCount - (SlotSize.vnetHeader - PacketRing.vnetHeader))
            piece += 1
            if entry.bodyByteCount > 0 {
                piece.pointee = iovec(iov_base: entry.body, iov_len: entry.bodyByteCount)
                piece += 1
            }
            if let tail = entry.tail {
                for place in 0..<Int(entry.tailCount) {
                    piece.pointee = iovec(
                        iov_base: UnsafeMutableRawPointer(mutating: tail[place].bytes),
                        iov_len: tail[place].byteCount)
                    piece += 1
                }
            }
            room -= piece - start
            messages[count].msg_hdr.msg_iov = start
            messages[count].msg_hdr.msg_iovlen = piece - start
            count += 1
        }
        return count
    }

    @inline(__always)
    private func send(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, from first: Int, count: Int
    ) -> Bool {
        var hasRefusedUSO = false
        var next = 0
        while next < count {
            let sent = Int(
                clinux_sendmmsg(
                    socket, messages + next, UInt32(count - next), Int32(MSG_DONTWAIT)))
            if sent > 0 {
                for place in next..<(next + sent) { entries[first + place].outcome = .none }
                next += sent
                continue
            }
            let code = errno
            if code == EINTR { continue }
            entries[first + next].outcome = PacketSender.reason(code)
            if code == EINVAL, isUSO(entries[first + next]) { hasRefusedUSO = true }
            next += 1
        }
        return hasRefusedUSO
    }

    private func isUSO(_ entry: TransmitEntry) -> Bool {
        let offload = Offload(
            wire: entry.head + (SlotSize.vnetHeader - PacketRing.vnetHeader))
        return offload.gsoType == Offload.gsoUDP
    }

    /// ENETDOWN: the device is down. ENXIO, ENODEV: it is gone. ENOBUFS: its queue, or the driver's,
    /// is full; EAGAIN: so is the socket's.
    private static func reason(_ code: Int32) -> DropReason {
        switch code {
        case EAGAIN, ENOBUFS, ENOMEM: .egressFull
        case ENETDOWN, ENXIO, ENODEV: .egressDown
        default: .egressRejected
        }
    }
}
