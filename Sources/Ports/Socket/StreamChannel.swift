// Frames in a stream, as QEMU's `-netdev stream` has them: four bytes of length, then the frame.
//
// Receiving reads what a burst can take with one system call and cuts it into slots (StreamCutter).
// Transmitting gathers a burst into one system call; a frame's length is written where its vnet
// header was, so that an untagged frame is one piece of memory.
//
// When the kernel takes a part only, the frame in which it ended is kept, the rest of it, and goes
// first in the next call or as soon as the socket is writable; the frames behind it were not taken
// (`egressFull`). So the peer never sees half a frame, and never waits for the next one to get the end
// of this one.

import CLinux
import Dataplane
import Glibc

final class StreamChannel: FrameChannel {
    /// Bytes read in one call at most: a burst of frames of the usual MTU.
    private static let inputByteCount = 128 * 1024
    private static let pendingCapacity = StreamCutter.lengthByteCount + SlotSize.maximumFrame

    private var cutter = StreamCutter(
        capacity: StreamChannel.inputByteCount, frameLimit: SlotSize.maximumFrame)
    private(set) var malformedCount: UInt64 = 0

    /// The end of a frame whose beginning the kernel has taken.
    private let pending: UnsafeMutableRawPointer
    private var pendingStart = 0
    private var pendingEnd = 0
    /// The peer takes nothing any more, though it may still send.
    private var isOutputClosed = false

    private let pieces: UnsafeMutablePointer<iovec>
    private let message: UnsafeMutablePointer<mmsghdr>

    init() {
        pending = .allocate(byteCount: Self.pendingCapacity, alignment: 64)
        pieces = .allocate(capacity: 1 + 2 * Burst.capacity)
        message = .allocate(capacity: 1)
        message.initialize(to: mmsghdr())
        message.pointee.msg_hdr.msg_iov = pieces
    }

    deinit {
        pending.deallocate()
        pieces.deallocate()
        message.deallocate()
    }

    var hasInput: Bool { cutter.hasCut }
    var hasOutput: Bool { pendingEnd > pendingStart }

    func reset() {
        cutter.reset()
        pendingStart = 0
        pendingEnd = 0
        isOutputClosed = false
    }

    // MARK: Receiving

    func receive(from socket: Int32, into burst: inout Burst) -> ChannelOutcome {
        var isDrained = false
        while true {
            if let announced = cut(into: &burst) {
                malformedCount &+= 1
                return .lost(.malformed(announced))
            }
            if burst.isFull { return .more }
            if isDrained { return .drained }
            let room = cutter.room(frames: burst.limit - burst.count)
            let count = clinux_read(socket, room.baseAddress, room.count)
            if count < 0 {
                switch errno {
                case EAGAIN: return .drained
                case EINTR: continue
                // What it had sent was read before this is told.
                case ECONNRESET: return .lost(end())
                default: return .lost(.system(errno))
                }
            }
            guard count > 0 else { return .lost(end()) }
            cutter.filled(count)
            // Less than asked for is all there was.
            isDrained = count < room.count
        }
    }

    /// Copies whole frames into the burst; the length of one that cannot be.
    private func cut(into burst: inout Burst) -> UInt32? {
        while !burst.isFull {
            switch cutter.next() {
            case .frame(let frame):
                guard let bytes = frame.baseAddress else { continue }
                burst.nextBytes.copyMemory(from: bytes, byteCount: frame.count)
                burst.append(byteCount: frame.count, offload: .none)
            case .incomplete: return nil
            case .malformed(let length): return length
            }
        }
        return nil
    }

    private func end() -> PeerLoss {
        guard cutter.byteCount > 0 else { return .left }
        malformedCount &+= 1
        return .leftInFrame
    }

    // MARK: Transmitting

    func transmit(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, to socket: Int32
    ) -> PeerLoss? {
        var start = 0
        while start < entries.count {
            let end = min(start + Burst.capacity, entries.count)
            send(UnsafeMutableBufferPointer(rebasing: entries[start..<end]), to: socket)
            start = end
        }
        return nil
    }

    func flush(to socket: Int32) -> PeerLoss? {
        send(UnsafeMutableBufferPointer(start: nil, count: 0), to: socket)
        return nil
    }

    /// Sends what is pending and up to a burst of entries with one call.
    private func send(_ entries: UnsafeMutableBufferPointer<TransmitEntry>, to socket: Int32) {
        guard !isOutputClosed else { return settle(entries, from: 0, .egressDown) }
        message.pointee.msg_hdr.msg_iovlen = gather(entries)
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        guard clinux_sendmmsg(socket, message, 1, flags) == 1 else {
            return settle(entries, from: 0, refused(errno))
        }
        var remaining = Int(message.pointee.msg_len)
        let finished = min(remaining, pendingEnd - pendingStart)
        pendingStart += finished
        remaining -= finished
        guard pendingStart == pendingEnd else { return settle(entries, from: 0, .egressFull) }
        pendingStart = 0
        pendingEnd = 0
        for place in entries.indices {
            let byteCount = StreamCutter.lengthByteCount + entries[place].frameByteCount
            guard remaining >= byteCount else {
                if remaining > 0 { keep(entries[place], from: remaining) }
                let next = remaining > 0 ? place + 1 : place
                if remaining > 0 { entries[place].outcome = .none }
                return settle(entries, from: next, .egressFull)
            }
            remaining -= byteCount
            entries[place].outcome = .none
        }
    }

    /// Lays out what is pending and the entries, each behind its length; how many pieces there are.
    private func gather(_ entries: UnsafeMutableBufferPointer<TransmitEntry>) -> Int {
        var count = 0
        if pendingEnd > pendingStart {
            pieces[0] = iovec(
                iov_base: pending + pendingStart, iov_len: pendingEnd - pendingStart)
            count = 1
        }
        let skipped = SlotSize.vnetHeader - StreamCutter.lengthByteCount
        for entry in entries {
            let head = entry.head + skipped
            head.storeBytes(
                of: UInt32(truncatingIfNeeded: entry.frameByteCount).bigEndian, as: UInt32.self)
            pieces[count] = iovec(iov_base: head, iov_len: entry.headByteCount - skipped)
            count += 1
            guard entry.bodyByteCount > 0 else { continue }
            pieces[count] = iovec(iov_base: entry.body, iov_len: entry.bodyByteCount)
            count += 1
        }
        return count
    }

    /// Keeps a frame, with its length, from the byte on that the kernel did not take.
    private func keep(_ entry: TransmitEntry, from offset: Int) {
        let head = entry.head + (SlotSize.vnetHeader - StreamCutter.lengthByteCount)
        let headByteCount =
            entry.headByteCount - SlotSize.vnetHeader + StreamCutter.lengthByteCount
        if offset < headByteCount {
            pending.copyMemory(from: head + offset, byteCount: headByteCount - offset)
            pendingEnd = headByteCount - offset
        }
        let bodyOffset = max(offset - headByteCount, 0)
        if bodyOffset < entry.bodyByteCount {
            (pending + pendingEnd).copyMemory(
                from: entry.body + bodyOffset, byteCount: entry.bodyByteCount - bodyOffset)
            pendingEnd += entry.bodyByteCount - bodyOffset
        }
    }

    private func refused(_ code: Int32) -> DropReason {
        switch code {
        case EAGAIN, ENOBUFS, ENOMEM, EINTR: return .egressFull
        default:
            // It takes nothing any more; that it is gone, reading tells when all has been read.
            isOutputClosed = true
            pendingStart = 0
            pendingEnd = 0
            return .egressDown
        }
    }

    private func settle(
        _ entries: UnsafeMutableBufferPointer<TransmitEntry>, from start: Int,
        _ outcome: DropReason
    ) {
        for place in start..<entries.count { entries[place].outcome = outcome }
    }
}
