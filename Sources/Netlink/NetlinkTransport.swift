import CLinux
import CMnl
import SystemPackage

/// The seam between requests and the kernel: a test records what is sent and scripts the answers.
package protocol NetlinkTransport: AnyObject {
    func send(_ bytes: [UInt8]) throws(Errno)
    /// The next datagram, which holds one message or several, copied to the front of `buffer`;
    /// returns its byte count. `Errno.resourceTemporarilyUnavailable` when it would block.
    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int
}

/// A NETLINK_ROUTE socket, or one of another netlink family, of the network namespace that the opening
/// thread was in. It stays in that namespace, whichever thread uses it later.
final class KernelTransport: NetlinkTransport {
    private let socket: OpaquePointer

    /// - Parameters:
    ///   - bus: the netlink family.
    ///   - groups: multicast groups to join, as a bit set of RTMGRP_ constants.
    ///   - isBlocking: whether `receive` waits.
    init(
        bus: Int32 = NETLINK_ROUTE, groups: UInt32 = 0, isBlocking: Bool = true
    ) throws(Errno) {
        let flags = Int32(SOCK_CLOEXEC.rawValue | (isBlocking ? 0 : SOCK_NONBLOCK.rawValue))
        guard let socket = mnl_socket_open2(bus, flags) else { throw .current }
        self.socket = socket
        // Answers carry the kernel's own explanation, not a copy of the request, and filters in
        // a dump request are honoured or refused, never ignored. Each is best effort: kernels
        // before 4.12 and 4.20 work without.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
            var isOn: Int32 = 1
            _ = mnl_socket_setsockopt(
                socket, Int32(option), &isOn, socklen_t(MemoryLayout<Int32>.size))
        }
        if groups != 0 {
            // A burst of events outgrows the default 208 KiB at some hundred links. Capped by
            // net.core.rmem_max, hence an overrun is still possible and reported.
            var byteCount: Int32 = 1 << 20
            setsockopt(
                descriptor.rawValue, SOL_SOCKET, SO_RCVBUF, &byteCount,
                socklen_t(MemoryLayout<Int32>.size))
        }
        guard mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) == 0 else {
            let errno = Errno.current
            mnl_socket_close(socket)
            throw errno
        }
    }

    deinit {
        mnl_socket_close(socket)
    }

    var descriptor: FileDescriptor { FileDescriptor(rawValue: mnl_socket_get_fd(socket)) }

    func send(_ bytes: [UInt8]) throws(Errno) {
        guard mnl_socket_sendto(socket, bytes, bytes.count) == bytes.count else { throw .current }
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        while true {
            let byteCount = mnl_socket_recvfrom(socket, buffer.baseAddress, buffer.count)
            if byteCount >= 0 { return byteCount }
            if Errno.current != .interrupted { throw .current }
        }
    }
}
