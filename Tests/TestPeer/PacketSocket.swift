import CLinux
import Glibc
import TestSupport
import Wire

/// Every frame of one device, sent and received as it is on the wire (packet(7)).
///
/// The kernel takes the outermost VLAN tag out of a frame before a packet socket sees it and hands
/// it over beside the frame; `receive` puts it back, so that what is reported is what came.
struct PacketSocket {
    struct Failure: Error, CustomStringConvertible {
        let description: String

        /// What failed, with the reason that errno gives.
        init(_ what: String) { description = "\(what): \(String(cString: strerror(errno)))" }
    }

    let descriptor: Int32
    let macAddress: MACAddress

    /// - Parameter receives: whether frames are to be queued for `receive`.
    init(device: String, receives: Bool = true) throws {
        let index = if_nametoindex(device)
        guard index != 0 else { throw Failure("find device \(device)") }
        descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue), 0)
        guard descriptor >= 0 else { throw Failure("open a packet socket") }
        var one: Int32 = 1
        setsockopt(descriptor, SOL_PACKET, PACKET_AUXDATA, &one, 4)
        var byteCount: Int32 = 4 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &byteCount, 4)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &byteCount, 4)
        let etherType = receives ? UInt16(ETH_P_ALL) : 0
        let bound = bindPacketSocket(descriptor, index: Int32(index), etherType: etherType)
        guard bound == 0 else { throw Failure("bind to \(device)") }
        let descriptor = descriptor  // for the closure: self is not whole yet
        var address = sockaddr_ll()
        var length = socklen_t(MemoryLayout<sockaddr_ll>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        macAddress = withUnsafeBytes(of: address.sll_addr) { bytes in
            MACAddress(rawValue: bytes.prefix(6).reduce(0) { $0 << 8 | UInt64($1) })
        }
    }

    /// Passes only frames to one address, counted from the destination's bytes: what is not wanted
    /// costs no room in the socket, whatever its rate.
    func keepOnly(destination: MACAddress) throws {
        let raw = destination.rawValue
        // Classic BPF: ldh [0]; jne drop; ld [2]; jne drop; accept; drop.
        let program = [
            sock_filter(code: 0x28, jt: 0, jf: 0, k: 0),
            sock_filter(code: 0x15, jt: 0, jf: 3, k: UInt32(raw >> 32)),
            sock_filter(code: 0x20, jt: 0, jf: 0, k: 2),
            sock_filter(code: 0x15, jt: 0, jf: 1, k: UInt32(truncatingIfNeeded: raw)),
            sock_filter(code: 0x06, jt: 0, jf: 0, k: 0xFFFF),
            sock_filter(code: 0x06, jt: 0, jf: 0, k: 0),
        ]
        guard attachFilter(program, to: descriptor) == 0 else { throw Failure("attach a filter") }
    }

    /// Sends one frame; false when the device's queue is full.
    func send(_ frame: [UInt8]) throws -> Bool {
        if Glibc.send(descriptor, frame, frame.count, 0) >= 0 { return true }
        guard errno == ENOBUFS || errno == EAGAIN else { throw Failure("send") }
        return false
    }

    /// The next frame that came, its tag included; frames that this host sent are skipped. Nil
    /// when none came in time.
    func receive(timeoutMilliseconds: Int32) throws -> [UInt8]? {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&polled, 1, timeoutMilliseconds) > 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 65_600)
        var control = [UInt8](repeating: 0, count: 256)
        var source = sockaddr_ll()
        var tag: [UInt8] = []
        let count = buffer.withUnsafeMutableBytes { bytes in
            control.withUnsafeMutableBytes { control in
                withUnsafeMutablePointer(to: &source) { source in
                    var piece = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                    return withUnsafeMutablePointer(to: &piece) { piece in
                        var message = msghdr()
                        message.msg_name = UnsafeMutableRawPointer(source)
                        message.msg_namelen = socklen_t(MemoryLayout<sockaddr_ll>.size)
                        message.msg_iov = piece
                        message.msg_iovlen = 1
                        message.msg_control = control.baseAddress
                        message.msg_controllen = control.count
                        let count = recvmsg(descriptor, &message, 0)
                        if count >= 0 { tag = PacketSocket.tag(in: &message) }
                        return count
                    }
                }
            }
        }
        guard count >= 0 else {
            // The device went down: nothing more comes until it is up again.
            if errno == ENETDOWN || errno == EINTR { return nil }
            throw Failure("receive")
        }
        guard source.sll_pkttype != PACKET_OUTGOING, count >= 14 else { return nil }
        return Array(buffer[..<12]) + tag + buffer[12..<count]
    }

    private static func tag(in message: inout msghdr) -> [UInt8] {
        guard let header = clinux_cmsg_first(&message), header.pointee.cmsg_level == SOL_PACKET,
            header.pointee.cmsg_type == PACKET_AUXDATA, let data = clinux_cmsg_data(header)
        else { return [] }
        let auxiliary = UnsafeRawPointer(data).loadUnaligned(as: tpacket_auxdata.self)
        guard auxiliary.tp_status & UInt32(TP_STATUS_VLAN_VALID) != 0 else { return [] }
        return auxiliary.tp_vlan_tpid.octets + auxiliary.tp_vlan_tci.octets
    }
}
