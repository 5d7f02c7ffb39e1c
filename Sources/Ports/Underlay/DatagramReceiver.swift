import CLinux
import Dataplane
import Glibc

/// Receives datagrams of one socket with recvmmsg(2), up to a batch a call. Everything the kernel
/// asks for is laid out once; between calls only what it overwrote is restored.
///
/// One thread uses it.
final class DatagramReceiver: @unchecked Sendable {
    // @unchecked: memory that only the owning worker touches.
    private let isIPv4: Bool
    private let hasIPv4Header: Bool
    private let bufferByteCount: Int
    private let headers: UnsafeMutablePointer<mmsghdr>
    private let pieces: UnsafeMutablePointer<iovec>
    private let names: UnsafeMutableRawPointer
    private let controls: UnsafeMutableRawPointer

    /// Holds the one control message that is asked for, UDP_GRO's int.
    private static let controlStride = 32
    private static let controlByteCount = clinux_cmsg_space(MemoryLayout<Int32>.size)

    /// - Parameters:
    ///   - hasIPv4Header: as raw IPv4 sockets have it (raw(7)); it is taken off.
    ///   - bufferByteCount: how much of each of a batch's buffers to use.
    init(isIPv4: Bool, hasIPv4Header: Bool, bufferByteCount: Int) {
        precondition((1...DatagramBatch.bufferByteCount).contains(bufferByteCount))
        self.isIPv4 = isIPv4
        self.hasIPv4Header = hasIPv4Header
        self.bufferByteCount = bufferByteCount
        let capacity = DatagramBatch.capacity
        headers = .allocate(capacity: capacity)
        pieces = .allocate(capacity: capacity)
        names = .allocate(
            byteCount: capacity * UnderlayAddress.socketAddressStride, alignment: 8)
        controls = .allocate(byteCount: capacity * Self.controlStride, alignment: 8)
        for place in 0..<capacity {
            (pieces + place).initialize(to: iovec(iov_base: nil, iov_len: bufferByteCount))
            var header = mmsghdr()
            header.msg_hdr.msg_name = names + place * UnderlayAddress.socketAddressStride
            header.msg_hdr.msg_namelen = socklen_t(UnderlayAddress.socketAddressStride)
            header.msg_hdr.msg_iov = pieces + place
            header.msg_hdr.msg_iovlen = 1
            header.msg_hdr.msg_control = controls + place * Self.controlStride
            header.msg_hdr.msg_controllen = Self.controlByteCount
            (headers + place).initialize(to: header)
        }
    }

    deinit {
        headers.deallocate()
        pieces.deallocate()
        names.deallocate()
        controls.deallocate()
    }

    func receive(from socket: Int32, into batch: inout DatagramBatch) -> ReceiveOutcome {
        precondition(batch.count == 0)
        point(at: batch)
        let flags = Int32(MSG_DONTWAIT)
        var received = clinux_recvmmsg(socket, headers, UInt32(DatagramBatch.capacity), flags)
        // Errors that ICMP left at the socket come before datagrams that wait, once each.
        var attempts = 0
        while received < 0, errno != EAGAIN, attempts < Self.attemptLimit {
            attempts += 1
            received = clinux_recvmmsg(socket, headers, UInt32(DatagramBatch.capacity), flags)
        }
        guard received > 0 else { return .drained }
        for place in 0..<Int(received) {
            batch.append(message(place, in: batch.buffer(place)))
            headers[place].msg_hdr.msg_namelen = socklen_t(UnderlayAddress.socketAddressStride)
            headers[place].msg_hdr.msg_controllen = Self.controlByteCount
        }
        return Int(received) == DatagramBatch.capacity ? .more : .drained
    }

    /// After so many failures in a row the rest waits for the next round: none is for ever.
    private static let attemptLimit = 4

    /// A worker has one batch, so this happens once.
    private func point(at batch: borrowing DatagramBatch) {
        guard pieces[0].iov_base != batch.buffer(0) else { return }
        for place in 0..<DatagramBatch.capacity { pieces[place].iov_base = batch.buffer(place) }
    }

    @inline(__always)
    private func message(_ place: Int, in buffer: UnsafeMutableRawPointer) -> IncomingMessage {
        let header = headers + place
        var byteCount = min(Int(header.pointee.msg_len), bufferByteCount)
        var bytes = buffer
        if hasIPv4Header {
            let headerByteCount =
                byteCount == 0 ? 0 : Int(buffer.load(as: UInt8.self) & 0x0F) * 4
            // The kernel has checked it; should it not have, nothing of it is left to parse.
            let skipped = min(headerByteCount, byteCount)
            bytes += skipped
            byteCount -= skipped
        }
        var segmentByteCount = byteCount
        let control = controls + place * Self.controlStride
        if header.pointee.msg_hdr.msg_controllen >= clinux_cmsg_len(MemoryLayout<Int32>.size) {
            let control = control.assumingMemoryBound(to: cmsghdr.self)
            if control.pointee.cmsg_level == Int32(IPPROTO_UDP),
                control.pointee.cmsg_type == UDP_GRO
            {
                let stated = Int(
                    UnsafeRawPointer(control).load(
                        fromByteOffset: MemoryLayout<cmsghdr>.size, as: Int32.self))
                if stated > 0, stated < byteCount { segmentByteCount = stated }
            }
        }
        return IncomingMessage(
            bytes: bytes, byteCount: byteCount, segmentByteCount: segmentByteCount,
            source: UnderlayAddress(
                socketAddress: names + place * UnderlayAddress.socketAddressStride,
                isIPv4: isIPv4),
            isTruncated: header.pointee.msg_hdr.msg_flags & Int32(MSG_TRUNC) != 0)
    }
}
