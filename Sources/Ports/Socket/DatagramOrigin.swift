import CLinux
import Glibc

/// Where the datagram comes from that is next at a socket, and whose it is.
struct DatagramOrigin {
    let address: sockaddr_un
    let byteCount: Int
    let credentials: PeerCredentials

    /// Looks without taking it; the socket has SO_PASSCRED set.
    ///
    /// - Returns: nil when nothing waits.
    init?(peekingAt socket: Int32) {
        var name = sockaddr_un()
        var message = msghdr()
        let capacity = clinux_cmsg_space(MemoryLayout<ucred>.size)
        var sender: ucred?
        let result = withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { control in
            withUnsafeMutableBytes(of: &name) { name -> Int in
                message.msg_name = name.baseAddress
                message.msg_namelen = socklen_t(name.count)
                message.msg_control = control.baseAddress
                message.msg_controllen = control.count
                let flags = Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)
                let result = recvmsg(socket, &message, flags)
                guard result >= 0, let header = clinux_cmsg_first(&message),
                    header.pointee.cmsg_level == SOL_SOCKET,
                    header.pointee.cmsg_type == Int32(SCM_CREDENTIALS)
                else { return result }
                sender = UnsafeRawPointer(clinux_cmsg_data(header)).loadUnaligned(as: ucred.self)
                return result
            }
        }
        guard result >= 0 else { return nil }
        address = name
        byteCount = Int(message.msg_namelen)
        // Without any it could be anybody: nobody's files have this number (chown(2)).
        credentials = PeerCredentials(
            process: sender?.pid ?? 0, user: sender?.uid ?? .max)
    }
}
