import CLinux
import Dataplane
import Glibc

/// A packet socket on one Ethernet device, for one direction of a port, with vnet headers.
///
/// Of the two, the receiving one does not see what the other sends, and has the device promiscuous as long
/// as it lives. They are two, so that nobody waits at the one that sends: for each frame that leaves it the
/// kernel tells those who wait that there is room again, which took 8 % of a forwarding thread's time.
///
/// A socket belongs to the network namespace of the thread that made it. Nothing of it is left behind when
/// it is closed, however the process ends.
struct PacketSocket: Sendable {
    let descriptor: Int32

    /// Bytes of queued super-frames, and of frames on their way out: some 60 of 64 KiB. More would
    /// only be a longer queue, whose frames have left the caches when their turn comes.
    private static let bufferByteCount: Int32 = 4 << 20

    /// Opens a socket that receives nothing yet.
    ///
    /// - Parameter device: its name, for errors.
    private init(device: String) throws(PacketError) {
        descriptor = socket(
            AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            guard errno == EPERM || errno == EACCES else {
                throw .system(operation: "open a packet socket", device: device, errno: errno)
            }
            throw .forbidden(device: device)
        }
    }

    /// A socket for a ring; ``receive(from:device:)`` starts it.
    static func receiving(device: String) throws(PacketError) -> PacketSocket {
        let socket = try PacketSocket(device: device)
        do throws(PacketError) {
            try socket.set(PACKET_VNET_HDR, 1, "vnet headers", device)
            try socket.set(PACKET_IGNORE_OUTGOING, 1, "ignoring what is sent", device)
            try socket.set(PACKET_VERSION, Int32(TPACKET_V2.rawValue), "rings", device)
            // What is longer than a ring's slot is queued as it is.
            try socket.set(PACKET_COPY_THRESH, 1, "queueing of long frames", device)
        } catch {
            close(socket.descriptor)
            throw error
        }
        socket.size(SO_RCVBUFFORCE, SO_RCVBUF)
        return socket
    }

    /// A socket that sends by a device.
    ///
    /// - Parameter mark: SO_MARK of what is sent; or nil.
    static func sending(
        to index: Int32, device: String, mark: UInt32?
    ) throws(PacketError) -> PacketSocket {
        let socket = try PacketSocket(device: device)
        do throws(PacketError) {
            try socket.set(PACKET_VNET_HDR, 1, "vnet headers", device)
            if let mark {
                try socket.set(SO_MARK, Int32(bitPattern: mark), "marks", device, SOL_SOCKET)
            }
            _ = try socket.bind(to: index, etherType: 0, device: device)
        } catch {
            close(socket.descriptor)
            throw error
        }
        socket.size(SO_SNDBUFFORCE, SO_SNDBUF)
        return socket
    }

    private func set(
        _ option: Int32, _ value: Int32, _ feature: String, _ device: String,
        _ level: Int32 = SOL_PACKET
    ) throws(PacketError) {
        var value = value
        guard setsockopt(descriptor, level, option, &value, 4) == 0 else {
            throw .unsupported(feature: feature, device: device, errno: errno)
        }
    }

    /// Beyond the system's limit where the process may, up to it (208 KiB, unless the operator set
    /// net.core.rmem_max) in a user namespace: a super-frame more or less waits there.
    private func size(_ forced: Int32, _ limited: Int32) {
        var byteCount = PacketSocket.bufferByteCount
        if setsockopt(descriptor, SOL_SOCKET, forced, &byteCount, 4) != 0 {
            setsockopt(descriptor, SOL_SOCKET, limited, &byteCount, 4)
        }
    }

    /// Begins to receive: every frame that comes in by the device, whomever it is for.
    func receive(from index: Int32, device: String) throws(PacketError) {
        let address = try bind(to: index, etherType: UInt16(ETH_P_ALL), device: device)
        guard address.sll_hatype == UInt16(ARPHRD_ETHER) else {
            throw .notEthernet(device: device)
        }
        var membership = packet_mreq()
        membership.mr_ifindex = index
        membership.mr_type = UInt16(PACKET_MR_PROMISC)
        guard
            setsockopt(
                descriptor, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership,
                socklen_t(MemoryLayout<packet_mreq>.size)) == 0
        else { throw .system(operation: "ask for all frames", device: device, errno: errno) }
    }

    /// The address that the socket then has.
    private func bind(
        to index: Int32, etherType: UInt16, device: String
    ) throws(PacketError) -> sockaddr_ll {
        var address = sockaddr_ll()
        address.sll_family = UInt16(AF_PACKET)
        address.sll_protocol = etherType.bigEndian
        address.sll_ifindex = index
        var byteCount = socklen_t(MemoryLayout<sockaddr_ll>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                Glibc.bind(descriptor, pointer, byteCount) == 0
                    && getsockname(descriptor, pointer, &byteCount) == 0 ? 0 : errno
            }
        }
        switch code {
        case 0: return address
        case ENODEV, ENXIO: throw .missing(device: device)
        default: throw .system(operation: "bind to frames", device: device, errno: code)
        }
    }

    /// Takes the error that waits at the socket, such as ENETDOWN since the device went down; until
    /// then it polls readable.
    @discardableResult
    func takeError() -> Int32 {
        var code: Int32 = 0
        var byteCount = socklen_t(4)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &byteCount)
        return code
    }

    /// Frames that found ring and queue full since the last call.
    func takeDropCount() -> UInt64 {
        var statistics = tpacket_stats()
        var byteCount = socklen_t(MemoryLayout<tpacket_stats>.size)
        guard
            getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &byteCount) == 0
        else { return 0 }
        return UInt64(statistics.tp_drops)
    }
}
