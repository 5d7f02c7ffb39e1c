// Sends messages with sendmmsg(2): messages that follow one another and leave by one socket share a
// system call, of at most 64. A message's pieces are handed to the kernel where they are.
//
// sendmmsg stops at the first message that fails, says how many went before it and keeps the error
// to itself; so the rest is sent by another call, in which the failing message is first and its error
// is told. One call more for a message that fails, none for those that do not; no message is lost
// for another one's error.
//
// A message of several segments is one datagram to the kernel until its end, which cuts it
// (UDP_SEGMENT). Where it cannot, it is cut here and leaves as a message for each segment:
//
// - EIO: the route transforms packets (IPsec), or, before Linux 6.11, its device has no checksum
//   offload;
// - EINVAL: more than 64 segments before Linux 6.9, more than 128 now, a segment beyond the MTU
//   before 6.14, or a source address that is not there. Which of them it is, is told by what becomes
//   of smaller messages.
//
// What turned out is remembered for good: a path that comes to have offloads later is a rare event,
// and trying again would cost a failing call each time.
//
// Thread: one, the owning worker; counters and the state of segmentation may be read by any.

import CLinux
import Dataplane
import Glibc
import Synchronization

final class DatagramSender: @unchecked Sendable {
    // @unchecked: memory that only the owning worker touches; the rest is atomic.

    /// Datagrams that were larger than the path's MTU, as the kernel has learned it.
    let pathMTUErrors = Atomic<UInt64>(0)
    /// The most segments that the kernel cuts a message into; 1 when it does not do it at all.
    let segmentLimit: Atomic<Int>
    /// Why the limit became 1: an errno, 0 when it did not.
    let refusal = Atomic<Int32>(0)

    private let isIPv4: Bool
    /// Twice `capacity`: the second half is for the segments of a message of the first.
    private let headers: UnsafeMutablePointer<mmsghdr>
    private let names: UnsafeMutableRawPointer
    private let controls: UnsafeMutableRawPointer
    /// Pieces of segments: a message's, and one more for each place where a piece is cut.
    private let cuts: UnsafeMutablePointer<iovec>

    /// Messages in a system call at most.
    static let capacity = 64
    /// The most pieces the kernel takes in a message (UIO_MAXIOV).
    static let pieceLimit = 1024
    /// What kernels before Linux 6.9 take (UDP_MAX_SEGMENTS).
    private static let oldSegmentLimit = 64
    private static let controlByteCount = clinux_cmsg_space(MemoryLayout<UInt16>.size)

    /// - Parameter port: where the messages go, 0 for raw sockets.
    init(local: UnderlayAddress, port: UInt16, segments: Bool) {
        isIPv4 = local.isIPv4
        segmentLimit = Atomic(segments ? OutgoingMessage.maximumSegmentCount : 1)
        let count = 2 * Self.capacity
        headers = .allocate(capacity: count)
        names = .allocate(byteCount: count * UnderlayAddress.socketAddressStride, alignment: 8)
        controls = .allocate(byteCount: count * Self.controlByteCount, alignment: 8)
        cuts = .allocate(capacity: Self.pieceLimit + Self.capacity)
        for place in 0..<count {
            let name = names + place * UnderlayAddress.socketAddressStride
            local.prepare(name, port: port)
            let control = controls + place * Self.controlByteCount
            control.initializeMemory(as: UInt8.self, repeating: 0, count: Self.controlByteCount)
            let request = control.assumingMemoryBound(to: cmsghdr.self)
            request.pointee.cmsg_len = clinux_cmsg_len(MemoryLayout<UInt16>.size)
            request.pointee.cmsg_level = Int32(IPPROTO_UDP)
            request.pointee.cmsg_type = UDP_SEGMENT
            var header = mmsghdr()
            header.msg_hdr.msg_name = name
            header.msg_hdr.msg_namelen = local.socketAddressByteCount
            (headers + place).initialize(to: header)
        }
    }

    deinit {
        headers.deallocate()
        names.deallocate()
        controls.deallocate()
        cuts.deallocate()
    }

    /// Sends the messages in order, each by the socket of its `source`, and sets their outcomes.
    func transmit(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>,
        pieces: UnsafeMutablePointer<OutgoingPiece>, sockets: UnsafeMutablePointer<Int32>
    ) {
        let kernelPieces = UnsafeMutableRawPointer(pieces).assumingMemoryBound(to: iovec.self)
        var next = 0
        while next < messages.count {
            let socket = sockets[Int(messages[next].source)]
            let end = prepareRun(messages, from: next, kernelPieces)
            if end > next {
                sendRun(messages, next..<end, kernelPieces, by: socket)
                next = end
            } else {
                messages[next].outcome = sendAlone(messages[next], kernelPieces, by: socket)
                next += 1
            }
        }
    }

    // MARK: Runs of messages

    /// Fills headers for the messages from `start` on that one call can send, and gives their end.
    private func prepareRun(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>, from start: Int,
        _ pieces: UnsafeMutablePointer<iovec>
    ) -> Int {
        let source = messages[start].source
        let limit = segmentLimit.load(ordering: .relaxed)
        let last = min(messages.count, start + Self.capacity)
        var end = start
        while end < last, messages[end].source == source, isWhole(messages[end], limit) {
            let message = messages[end]
            prepare(
                end - start, message, pieces + Int(message.firstPiece), Int(message.pieceCount),
                isSegmented: message.byteCount > Int32(message.segmentByteCount))
            end += 1
        }
        return end
    }

    /// Whether the kernel takes the message as it is.
    @inline(__always)
    private func isWhole(_ message: OutgoingMessage, _ limit: Int) -> Bool {
        message.destination.isIPv4 == isIPv4 && message.pieceCount <= Self.pieceLimit
            && (message.segmentByteCount == 0
                || Int(message.byteCount) <= limit * Int(message.segmentByteCount))
    }

    @inline(__always)
    private func prepare(
        _ place: Int, _ message: OutgoingMessage, _ pieces: UnsafeMutablePointer<iovec>,
        _ pieceCount: Int, isSegmented: Bool
    ) {
        message.destination.store(into: names + place * UnderlayAddress.socketAddressStride)
        headers[place].msg_hdr.msg_iov = pieces
        headers[place].msg_hdr.msg_iovlen = pieceCount
        guard isSegmented, message.segmentByteCount != 0 else {
            headers[place].msg_hdr.msg_control = nil
            headers[place].msg_hdr.msg_controllen = 0
            return
        }
        let control = controls + place * Self.controlByteCount
        control.storeBytes(
            of: message.segmentByteCount, toByteOffset: MemoryLayout<cmsghdr>.size,
            as: UInt16.self)
        headers[place].msg_hdr.msg_control = control
        headers[place].msg_hdr.msg_controllen = Self.controlByteCount
    }

    private func sendRun(
        _ messages: UnsafeMutableBufferPointer<OutgoingMessage>, _ run: Range<Int>,
        _ pieces: UnsafeMutablePointer<iovec>, by socket: Int32
    ) {
        var next = run.lowerBound
        while next < run.upperBound {
            var sent = 0
            let code = send(
                headers + (next - run.lowerBound), run.upperBound - next, by: socket, &sent)
            for _ in 0..<sent {
                messages[next].outcome = .none
                next += 1
            }
            guard code != 0 else { continue }
            let message = messages[next]
            if code == EIO || code == EINVAL, message.segmentByteCount != 0,
                message.byteCount > Int32(message.segmentByteCount)
            {
                messages[next].outcome = sendRefused(message, pieces, by: socket, code)
            } else {
                messages[next].outcome = reason(code)
            }
            next += 1
        }
    }

    /// One system call, or a second one for an error that is not this message's; 0 and how many
    /// went, or the errno of the first message.
    private func send(
        _ first: UnsafeMutablePointer<mmsghdr>, _ count: Int, by socket: Int32, _ sent: inout Int
    ) -> Int32 {
        let flags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
        var result = clinux_sendmmsg(socket, first, UInt32(count), flags)
        // ICMP told it of an earlier message; asking takes it away.
        if result < 0, errno == ECONNREFUSED || errno == EINTR {
            result = clinux_sendmmsg(socket, first, UInt32(count), flags)
        }
        guard result > 0 else { return result < 0 ? errno : EIO }
        sent = Int(result)
        return 0
    }

    // MARK: Messages that the kernel does not cut

    /// Sends a message that the kernel would not take as it is.
    private func sendAlone(
        _ message: OutgoingMessage, _ pieces: UnsafeMutablePointer<iovec>, by socket: Int32
    ) -> DropReason {
        guard message.destination.isIPv4 == isIPv4 else { return .tunnelDown }
        guard message.pieceCount <= Self.pieceLimit else { return .egressRejected }
        let limit = segmentLimit.load(ordering: .relaxed)
        return reason(sendCut(message, pieces, by: socket, segmentsEach: limit))
    }

    /// Sends what the kernel refused to cut, and learns from it.
    private func sendRefused(
        _ message: OutgoingMessage, _ pieces: UnsafeMutablePointer<iovec>, by socket: Int32,
        _ refusal: Int32
    ) -> DropReason {
        let old = Self.oldSegmentLimit
        if refusal == EINVAL, Int(message.byteCount) > old * Int(message.segmentByteCount) {
            let code = sendCut(message, pieces, by: socket, segmentsEach: old)
            if code == 0 { segmentLimit.store(old, ordering: .relaxed) }
            if code != EINVAL { return reason(code) }
        }
        let code = sendCut(message, pieces, by: socket, segmentsEach: 1)
        if code == 0 {
            self.refusal.store(refusal, ordering: .relaxed)
            segmentLimit.store(1, ordering: .relaxed)
        }
        return reason(code)
    }

    /// Sends a message as several of `segmentsEach` segments. The first failure ends it, for what is
    /// left of a super-frame that lost a segment would only fill the same queue: its errno, or 0.
    private func sendCut(
        _ message: OutgoingMessage, _ pieces: UnsafeMutablePointer<iovec>, by socket: Int32,
        segmentsEach: Int
    ) -> Int32 {
        let partByteCount = segmentsEach * Int(message.segmentByteCount)
        var left = Int(message.byteCount)
        var piece = pieces + Int(message.firstPiece)
        let end = piece + Int(message.pieceCount)
        var offset = 0
        while left > 0 {
            var cutCount = 0
            var partCount = 0
            while left > 0, partCount < Self.capacity {
                let first = cutCount
                var wanted = min(left, partByteCount)
                left -= wanted
                while wanted > 0 {
                    // The pieces hold less than the message says.
                    guard piece < end else { return EFAULT }
                    let taken = min(wanted, piece.pointee.iov_len - offset)
                    cuts[cutCount] = iovec(
                        iov_base: piece.pointee.iov_base + offset, iov_len: taken)
                    cutCount += 1
                    wanted -= taken
                    offset += taken
                    if offset == piece.pointee.iov_len {
                        piece += 1
                        offset = 0
                    }
                }
                prepare(
                    Self.capacity + partCount, message, cuts + first, cutCount - first,
                    isSegmented: segmentsEach > 1)
                partCount += 1
            }
            let code = sendParts(partCount, by: socket)
            if code != 0 { return code }
        }
        return 0
    }

    private func sendParts(_ count: Int, by socket: Int32) -> Int32 {
        var next = 0
        while next < count {
            var sent = 0
            let code = send(headers + (Self.capacity + next), count - next, by: socket, &sent)
            if code != 0 { return code }
            next += sent
        }
        return 0
    }

    private func reason(_ code: Int32) -> DropReason {
        switch code {
        case 0: return .none
        case EAGAIN, ENOBUFS, ENOMEM: return .egressFull
        case EMSGSIZE:
            pathMTUErrors.wrappingAdd(1, ordering: .relaxed)
            return .overlayMTU
        // No route; a route that refuses; or, EINVAL, no such source address here.
        case ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, ENETDOWN, EINVAL: return .tunnelDown
        default: return .egressRejected
        }
    }
}
