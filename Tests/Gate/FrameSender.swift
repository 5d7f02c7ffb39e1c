import CLinux
import Glibc

/// Sends one frame over and over by a packet socket into a network interface, 64 to a system call.
final class FrameSender {
    private static let batch = 64
    private let socket: Int32
    private let frame: UnsafeMutableRawPointer
    private let piece: UnsafeMutablePointer<iovec>
    private let messages: UnsafeMutablePointer<mmsghdr>

    /// Nil, with `errno` set, when the kernel gives no such socket.
    init?(index: Int32, frame bytes: [UInt8]) {
        let socket = Glibc.socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0)
        self.socket = socket
        guard socket >= 0 else { return nil }
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        address.sll_ifindex = index
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_ll>.size))
            }
        }
        // Past the queueing discipline, straight to the device.
        var bypass: Int32 = 1
        setsockopt(socket, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, 4)
        frame = .allocate(byteCount: bytes.count, alignment: 16)
        frame.copyMemory(from: bytes, byteCount: bytes.count)
        piece = .allocate(capacity: 1)
        piece.initialize(to: iovec(iov_base: frame, iov_len: bytes.count))
        messages = .allocate(capacity: FrameSender.batch)
        for place in 0..<FrameSender.batch {
            var message = mmsghdr()
            message.msg_hdr.msg_iov = piece
            message.msg_hdr.msg_iovlen = 1
            (messages + place).initialize(to: message)
        }
        guard bound == 0 else { return nil }
    }

    deinit {
        close(socket)
        frame.deallocate()
        piece.deallocate()
        messages.deallocate()
    }

    /// Sends up to `count` frames; returns how many the device took. Fewer when its queue is full.
    func send(_ count: Int) -> Int {
        max(0, Int(sendmmsg(socket, messages, UInt32(min(count, FrameSender.batch)), 0)))
    }
}
