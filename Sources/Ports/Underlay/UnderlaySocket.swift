import CLinux
import Dataplane
import Glibc
import Wire

/// A socket of an underlay, bound to the host's address there; closed with this object.
///
/// All are bound freely (IP_FREEBIND): the address may be added, lost and added again while the
/// switch runs, and neither needs a new socket.
final class UnderlaySocket: Sendable {
    let descriptor: Int32
    private let isIPv4: Bool
    /// What errors call it: "underlay vxlan, 192.0.2.1".
    private let object: String

    /// An unbound socket of the address's family. Nobody else's is ever shared: SO_REUSEADDR stays
    /// off, so that a taken port is an error.
    init(
        kind: String, local: UnderlayAddress, type: __socket_type, protocol number: Int
    ) throws(PortError) {
        isIPv4 = local.isIPv4
        object = "underlay \(kind), \(local.text)"
        descriptor = socket(
            isIPv4 ? AF_INET : AF_INET6, Int32(type.rawValue | SOCK_CLOEXEC.rawValue),
            Int32(number))
        guard descriptor >= 0 else {
            if type == SOCK_RAW, errno == EPERM || errno == EACCES {
                throw .rawSocketForbidden(kind: kind)
            }
            throw .kernel("socket", object: object, errno)
        }
        if isIPv4 {
            try require(Int32(IPPROTO_IP), IP_FREEBIND, 1)
        } else {
            // A raw one is of one family anyway, and refuses to be told.
            if type == SOCK_DGRAM { try require(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            try require(Int32(IPPROTO_IPV6), IPV6_FREEBIND, 1)
        }
    }

    deinit { close(descriptor) }

    /// Binds to the address and a UDP port; 0, or EADDRINUSE.
    func bind(_ local: UnderlayAddress, port: UInt16) throws(PortError) -> Int32 {
        let status = withUnsafeTemporaryAllocation(
            byteCount: UnderlayAddress.socketAddressStride, alignment: 8
        ) { bytes -> Int32 in
            guard let start = bytes.baseAddress else { return -1 }
            local.prepare(start, port: port)
            local.store(into: start)
            return Glibc.bind(
                descriptor, UnsafePointer(start.assumingMemoryBound(to: sockaddr.self)),
                local.socketAddressByteCount)
        }
        guard status != 0 else { return 0 }
        guard errno == EADDRINUSE else { throw .kernel("bind", object: object, errno) }
        return EADDRINUSE
    }

    /// Datagrams leave whole or not at all: DF is set, and a path's smaller MTU becomes EMSGSIZE.
    func forbidFragments() throws(PortError) {
        if isIPv4 {
            try require(Int32(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        } else {
            try require(Int32(IPPROTO_IPV6), IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO)
            try require(Int32(IPPROTO_IPV6), IPV6_DONTFRAG, 1)
        }
    }

    /// Room for so many bytes that wait to be received or sent: beyond the system's limit where the
    /// process may, else up to it (net.core.rmem_max, wmem_max).
    func setBuffer(receive: Int32? = nil, send: Int32? = nil) {
        if let receive, !set(SOL_SOCKET, SO_RCVBUFFORCE, receive) {
            _ = set(SOL_SOCKET, SO_RCVBUF, receive)
        }
        if let send, !set(SOL_SOCKET, SO_SNDBUFFORCE, send) {
            _ = set(SOL_SOCKET, SO_SNDBUF, send)
        }
    }

    /// Lets nothing in. A socket that only sends is nonetheless found by datagrams to its port, and
    /// would keep them until its buffer is full: a UDP socket cannot be shut down for reading before
    /// it is connected, and the smallest SO_RCVBUF still holds some. It must stay bound all the
    /// same, for the ICMP errors that tell it a path's MTU.
    func refuseEverything() throws(PortError) {
        var program = sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: 0)
        let status = withUnsafeMutablePointer(to: &program) { instruction in
            var filter = sock_fprog(len: 1, filter: instruction)
            return setsockopt(
                descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
                socklen_t(MemoryLayout<sock_fprog>.size))
        }
        guard status == 0 else { throw .kernel("SO_ATTACH_FILTER", object: object, errno) }
    }

    /// Sends a datagram at once or not at all; whether it left. Any thread may.
    func send(
        _ datagram: UnsafeRawBufferPointer, to destination: UnderlayAddress, port: UInt16
    ) -> Bool {
        withUnsafeTemporaryAllocation(
            byteCount: UnderlayAddress.socketAddressStride, alignment: 8
        ) { bytes -> Bool in
            guard let start = bytes.baseAddress else { return false }
            destination.prepare(start, port: port)
            destination.store(into: start)
            return sendto(
                descriptor, datagram.baseAddress, datagram.count,
                Int32(MSG_DONTWAIT | MSG_NOSIGNAL),
                UnsafePointer(start.assumingMemoryBound(to: sockaddr.self)),
                destination.socketAddressByteCount) == datagram.count
        }
    }

    /// Sets an integer option; false when the kernel refuses it.
    func set(_ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
        var value = value
        return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
            == 0
    }

    /// Sets an integer option without which the socket is of no use.
    func require(_ level: Int32, _ option: Int32, _ value: Int32) throws(PortError) {
        guard set(level, option, value) else {
            throw .kernel("setsockopt \(level)/\(option)", object: object, errno)
        }
    }
}
