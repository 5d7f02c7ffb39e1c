// Frames that are messages: one a datagram (QEMU's `-netdev dgram`, VDE) or one a packet of a
// connection (User-mode Linux's `bess`).
//
// A burst is received by one recvmmsg(2), straight into slots, and sent by one sendmmsg(2). What is
// not a frame (empty, or longer than a slot) is skipped and counted.
//
// What the receiver's queue does not take waits in a backlog (FrameBacklog) and goes out when the
// socket is writable, many at a time; until then later frames wait behind it without a system call, so
// that the order stays and an overload costs little. A full backlog is `egressFull`.
//
// sendmmsg stops at the first message that fails and keeps the error to itself unless it was the
// first; so the rest is sent by another call, whose error is that message's.
//
// The end of a connection reads as empty packets, of which the peer may also send some: it has ended
// when the last packets of a call are empty and the kernel says that the peer has hung up. A socket for
// datagrams has no end: that its receiver is gone, sending tells.

import CLinux
import Dataplane
import Glibc

final class MessageChannel: FrameChannel {
    private static let backlogByteCount = 256 * 1024
    /// Errors that were left at the socket come before what waits, once each.
    private static let attemptLimit = 3

    private let isConnection: Bool
    private(set) var malformedCount: UInt64 = 0
    private var backlog = FrameBacklog(capacity: MessageChannel.backlogByteCount)

    private let incoming: UnsafeMutablePointer<mmsghdr>
    private let incomingPieces: UnsafeMutablePointer<iovec>
    private let outgoing: UnsafeMutablePointer<mmsghdr>
    /// Two for each message.
    private let outgoingPieces: UnsafeMutablePointer<iovec>

    /// - Parameter isConnection: the socket has a peer that can hang up.
    init(isConnection: Bool) {
        self.isConnection = isConnection
        let capacity = Burst.capacity
        incoming = .allocate(capacity: capacity)
        incomingPieces = .allocate(capacity: capacity)
        outgoing = .allocate(capacity: capacity)
        outgoingPieces = .allocate(capacity: 2 * capacity)
        for place in 0..<capacity {
            (incomingPieces + place).initialize(
                to: iovec(iov_base: nil, iov_len: SlotSize.maximumFrame))
            var header = mmsghdr()
            header.msg_hdr.msg_iov = incomingPieces + place
            header.msg_hdr.msg_iovlen = 1
            (incoming + place).initialize(to: header)
            header.msg_hdr.msg_iov = outgoingPieces + 2 * place
            (outgoing + place).initialize(to: header)
        }
    }

    deinit {
        incoming.deallocate()
        incomingPieces.deallocate()
        outgoing.deallocate()
        outgoingPieces.deallocate()
    }

    var hasInput: Bool { false }
    var hasOutput: Bool { !backlog.isEmpty }
    func reset() { backlog.reset() }

    // MARK: Receiving

    func receive(from socket: Int32, into burst: inout Burst) -> ChannelOutcome {
        let slots = burst.emptySlots
        guard slots.count > 0 else { return .more }
        for place in slots.indices {
            incomingPieces[place].iov_base = slots[place] + SlotSize.headroom
        }
        var received: Int32
        var attempts = 0
        repeat {
            received = clinux_recvmmsg(
                socket, incoming, UInt32(slots.count), Int32(MSG_DONTWAIT))
            attempts += 1
        } while received < 0 && errno != EAGAIN && attempts < Self.attemptLimit
        if received < 0 {
            return isConnection && errno != EAGAIN ? .lost(.system(errno)) : .drained
        }
        let count = Int(received)
        var trailing = 0
        while trailing < count, incoming[count - 1 - trailing].msg_len == 0 { trailing += 1 }
        let hasEnded = isConnection && trailing > 0 && UnixEndpoint.hasHungUp(socket)
        for place in 0..<(hasEnded ? count - trailing : count) {
            append(place, in: slots[place] + SlotSize.headroom, to: &burst)
        }
        if hasEnded { return .lost(.left) }
        return count == slots.count ? .more : .drained
    }

    /// Takes a message into the burst: at the place where it is, unless one before it was skipped.
    @inline(__always)
    private func append(
        _ place: Int, in bytes: UnsafeMutableRawPointer, to burst: inout Burst
    ) {
        let byteCount = Int(incoming[place].msg_len)
        guard byteCount > 0,
            incoming[place].msg_hdr.msg_flags & Int32(MSG_TRUNC) == 0
        else {
            malformedCount &+= 1
            return
        }
        let destination = burst.nextBytes
        if destination != bytes {
            destination.copyMemory(from: bytes, byteCount: byteCount)
        }
        burst.append(byteCount: byteCount, offload: .none)
    }

    // MARK: Transmitting

    func transmit(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, to socket: Int32
    ) -> PeerLoss? {
        var start = 0
        while start < entries.count {
            let end = min(start + Burst.capacity, entries.count)
            let run = UnsafeMutableBufferPointer(rebasing: entries[start..<end])
            if let loss = send(run, to: socket) {
                settle(entries, from: end, .egressDown)
                return loss
            }
            start = end
        }
        return nil
    }

    private func send(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, to socket: Int32
    ) -> PeerLoss? {
        var next = 0
        if !hasOutput {
            for place in entries.indices { prepare(place, entries[place]) }
        }
        while next < entries.count, !hasOutput {
            var sent = 0
            let code = send(from: next, count: entries.count - next, to: socket, &sent)
            for _ in 0..<sent {
                entries[next].outcome = .none
                next += 1
            }
            switch code {
            case 0: continue
            case EAGAIN:
                guard backlog.append(entries[next]) else {
                    settle(entries, from: next, .egressFull)
                    return nil
                }
                entries[next].outcome = .none
            case ENOBUFS, ENOMEM: entries[next].outcome = .egressFull
            case EPIPE where isConnection:
                // That it is gone, reading tells when all has been read.
                settle(entries, from: next, .egressDown)
                return nil
            case ECONNREFUSED, ENOENT, ENOTCONN, EPIPE, ECONNRESET:
                settle(entries, from: next, .egressDown)
                return isConnection ? nil : .system(code)
            default: entries[next].outcome = .egressRejected
            }
            next += 1
        }
        for place in next..<entries.count {
            entries[place].outcome = backlog.append(entries[place]) ? .none : .egressFull
        }
        return nil
    }

    func flush(to socket: Int32) -> PeerLoss? {
        while hasOutput {
            var count = 0
            var position = backlog.first
            while count < Burst.capacity, let frame = backlog.frame(at: position) {
                outgoingPieces[2 * count] = iovec(
                    iov_base: frame.bytes.baseAddress, iov_len: frame.bytes.count)
                outgoing[count].msg_hdr.msg_iovlen = 1
                position = frame.next
                count += 1
            }
            var sent = 0
            let code = send(from: 0, count: count, to: socket, &sent)
            for _ in 0..<sent { backlog.removeFirst() }
            switch code {
            case 0: continue
            case EAGAIN: return nil
            case ECONNREFUSED, ENOENT, ENOTCONN, EPIPE, ECONNRESET:
                backlog.reset()
                return isConnection ? nil : .system(code)
            default:
                // Not to be tried for ever.
                backlog.removeFirst()
            }
        }
        return nil
    }

    /// One system call, or another one for an error that was left at the socket; 0 and how many
    /// went, or the errno of the first message.
    private func send(from first: Int, count: Int, to socket: Int32, _ sent: inout Int) -> Int32 {
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        var result = clinux_sendmmsg(socket, outgoing + first, UInt32(count), flags)
        if result < 0, errno == ECONNRESET || errno == EINTR {
            result = clinux_sendmmsg(socket, outgoing + first, UInt32(count), flags)
        }
        guard result > 0 else { return result < 0 ? errno : EIO }
        sent = Int(result)
        return 0
    }

    @inline(__always)
    private func prepare(_ place: Int, _ entry: TransmitEntry) {
        outgoingPieces[2 * place] = iovec(
            iov_base: entry.head + SlotSize.vnetHeader,
            iov_len: entry.headByteCount - SlotSize.vnetHeader)
        outgoingPieces[2 * place + 1] = iovec(
            iov_base: entry.body, iov_len: entry.bodyByteCount)
        outgoing[place].msg_hdr.msg_iovlen = entry.bodyByteCount > 0 ? 2 : 1
    }

    private func settle(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, from start: Int,
        _ outcome: DropReason
    ) {
        for place in start..<entries.count { entries[place].outcome = outcome }
    }
}
