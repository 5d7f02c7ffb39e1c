import CLinux
import Glibc

/// A packet socket on a device of the calling thread's namespace: what a neighbour on the wire sends and
/// sees, of one EtherType or of all.
package final class FrameSocket {
    private let socket: Int32
    private let vnetHeader: Int

    /// - Parameters:
    ///   - hasVnetHeader: whether frames are given and taken behind a vnet header of ten bytes.
    ///   - mark: SO_MARK.
    package init(
        _ device: String, etherType: UInt16 = UInt16(ETH_P_ALL), hasVnetHeader: Bool = false,
        mark: UInt32 = 0
    ) throws(SystemCallFailure) {
        socket = Glibc.socket(
            AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0)
        vnetHeader = hasVnetHeader ? 10 : 0
        guard socket >= 0 else { throw SystemCallFailure("open a packet socket", errno: errno) }
        let options: [(Int32, Int32, Int32)] = [
            (SOL_PACKET, PACKET_VNET_HDR, hasVnetHeader ? 1 : 0),
            (SOL_PACKET, PACKET_IGNORE_OUTGOING, 1), (SOL_PACKET, PACKET_AUXDATA, 1),
            (SOL_SOCKET, SO_RCVBUF, 1 << 20), (SOL_SOCKET, SO_MARK, Int32(bitPattern: mark)),
        ]
        for (level, option, value) in options {
            var value = value
            guard setsockopt(socket, level, option, &value, 4) == 0 else {
                throw SystemCallFailure("set up a packet socket", errno: errno)
            }
        }
        let index = Int32(if_nametoindex(device))
        guard bindPacketSocket(socket, index: index, etherType: etherType) == 0 else {
            throw SystemCallFailure("bind a packet socket to '\(device)'", errno: errno)
        }
    }

    deinit { close(socket) }

    /// Sends a frame; the errno, or 0.
    @discardableResult
    package func send(_ frame: [UInt8]) -> Int32 {
        Glibc.send(socket, frame, frame.count, 0) == frame.count ? 0 : errno
    }

    /// The next frame for which `isWanted` holds, with a tag that the kernel took off put back; nil when
    /// none comes in time.
    package func receive(
        within milliseconds: Int32 = 1000, where isWanted: ([UInt8]) -> Bool = { _ in true }
    ) -> [UInt8]? {
        var deadline = milliseconds
        while deadline > 0 {
            var interest = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            let slice = min(deadline, 20)
            deadline -= slice
            guard poll(&interest, 1, slice) > 0 else { continue }
            while let frame = receiveWaiting() {
                if isWanted(frame) { return frame }
            }
        }
        return nil
    }

    private func receiveWaiting() -> [UInt8]? {
        var frame = [UInt8](repeating: 0, count: 70_000)
        var control = [UInt8](repeating: 0, count: 64)
        let (count, tag) = frame.withUnsafeMutableBytes { bytes in
            control.withUnsafeMutableBytes { control -> (Int, (UInt16, UInt16)?) in
                var piece = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return withUnsafeMutablePointer(to: &piece) { piece in
                    var message = msghdr()
                    message.msg_iov = piece
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    let count = recvmsg(socket, &message, Int32(MSG_DONTWAIT))
                    return (count, count < 0 ? nil : FrameSocket.tag(of: &message))
                }
            }
        }
        guard count >= 0 else { return nil }
        var result = Array(frame[..<count])
        if let tag {
            let bytes = [
                UInt8(tag.0 >> 8), UInt8(tag.0 & 0xFF), UInt8(tag.1 >> 8), UInt8(tag.1 & 0xFF),
            ]
            result.insert(contentsOf: bytes, at: vnetHeader + 12)
        }
        return result
    }

    private static func tag(of message: inout msghdr) -> (UInt16, UInt16)? {
        var header = clinux_cmsg_first(&message)
        while let current = header {
            if current.pointee.cmsg_level == SOL_PACKET,
                current.pointee.cmsg_type == PACKET_AUXDATA,
                let data = clinux_cmsg_data(current)
            {
                let auxiliary = UnsafeRawPointer(data).loadUnaligned(as: tpacket_auxdata.self)
                guard auxiliary.tp_status & UInt32(TP_STATUS_VLAN_VALID) != 0 else { return nil }
                return (auxiliary.tp_vlan_tpid, auxiliary.tp_vlan_tci)
            }
            header = clinux_cmsg_next(&message, current)
        }
        return nil
    }
}
