/// How frames travel over a Unix socket.
package enum SocketProtocol: String, Hashable, Sendable, CaseIterable {
    /// QEMU's `-netdev stream`: a stream, each frame behind its length in four bytes.
    case qemuStream = "qemu-stream"
    /// QEMU's `-netdev dgram`: each frame a datagram.
    case qemuDgram = "qemu-dgram"
    /// The BESS transport of User-mode Linux's vector driver: each frame a packet of SOCK_SEQPACKET.
    case bess
    /// The switch protocol of VDE2.
    case vde
}
