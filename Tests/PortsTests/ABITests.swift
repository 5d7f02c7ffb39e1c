import CLinux
import Dataplane
import Glibc
import Testing

/// A layout that differs from the kernel's would corrupt silently; the numbers are of the kernel's
/// headers on 64-bit machines.
@Suite("Every C struct shared with the kernel has the kernel's layout")
struct ABITests {
    @Test("virtio_net_hdr_v1 (virtio 1.2, section 5.1.6)")
    func virtioHeader() {
        typealias Header = virtio_net_hdr_v1
        #expect(MemoryLayout<Header>.size == 12)
        #expect(MemoryLayout<Header>.offset(of: \.flags) == 0)
        #expect(MemoryLayout<Header>.offset(of: \.gso_type) == 1)
        #expect(MemoryLayout<Header>.offset(of: \.hdr_len) == 2)
        #expect(MemoryLayout<Header>.offset(of: \.gso_size) == 4)
        #expect(MemoryLayout<Header>.offset(of: \.num_buffers) == 10)
    }

    @Test("netlink headers")
    func netlink() {
        #expect(MemoryLayout<nlmsghdr>.size == 16)
        #expect(MemoryLayout<nlmsghdr>.offset(of: \.nlmsg_type) == 4)
        #expect(MemoryLayout<nlmsghdr>.offset(of: \.nlmsg_flags) == 6)
        #expect(MemoryLayout<nlmsghdr>.offset(of: \.nlmsg_seq) == 8)
        #expect(MemoryLayout<nlmsghdr>.offset(of: \.nlmsg_pid) == 12)
        #expect(MemoryLayout<nlattr>.size == 4)
        #expect(MemoryLayout<nlattr>.offset(of: \.nla_type) == 2)
        #expect(MemoryLayout<nlmsgerr>.size == 20)
        #expect(MemoryLayout<nlmsgerr>.offset(of: \.msg) == 4)
    }

    @Test("rtnetlink's family headers")
    func rtnetlink() {
        #expect(MemoryLayout<ifinfomsg>.size == 16)
        #expect(MemoryLayout<ifinfomsg>.offset(of: \.ifi_type) == 2)
        #expect(MemoryLayout<ifinfomsg>.offset(of: \.ifi_index) == 4)
        #expect(MemoryLayout<ifinfomsg>.offset(of: \.ifi_flags) == 8)
        #expect(MemoryLayout<ifinfomsg>.offset(of: \.ifi_change) == 12)
        #expect(MemoryLayout<ifaddrmsg>.size == 8)
        #expect(MemoryLayout<ifaddrmsg>.offset(of: \.ifa_prefixlen) == 1)
        #expect(MemoryLayout<ifaddrmsg>.offset(of: \.ifa_scope) == 3)
        #expect(MemoryLayout<ifaddrmsg>.offset(of: \.ifa_index) == 4)
    }

    @Test("ifreq, which TUNSETIFF takes")
    func interfaceRequest() {
        #expect(MemoryLayout<ifreq>.size == 40)
        #expect(MemoryLayout<ifreq>.offset(of: \.ifr_ifru) == 16)
    }

    @Test("sockets: addresses, credentials, control messages")
    func sockets() {
        #expect(MemoryLayout<sockaddr_un>.size == 110)
        #expect(MemoryLayout<sockaddr_un>.offset(of: \.sun_path) == 2)
        #expect(MemoryLayout<ucred>.size == 12)
        #expect(MemoryLayout<ucred>.offset(of: \.uid) == 4)
        #expect(MemoryLayout<ucred>.offset(of: \.gid) == 8)
        #expect(MemoryLayout<msghdr>.size == 56)
        #expect(MemoryLayout<msghdr>.offset(of: \.msg_control) == 32)
        #expect(MemoryLayout<msghdr>.offset(of: \.msg_flags) == 48)
        #expect(MemoryLayout<iovec>.size == 16)
        #expect(MemoryLayout<cmsghdr>.size == 16)
        #expect(clinux_cmsg_len(4) == 20)
        #expect(clinux_cmsg_space(4) == 24)
    }

    @Test("messages in bulk and IP socket addresses, which are written by offset")
    func underlaySockets() {
        #expect(MemoryLayout<mmsghdr>.size == 64)
        #expect(MemoryLayout<mmsghdr>.offset(of: \.msg_len) == 56)
        #expect(MemoryLayout<sockaddr_in>.size == 16)
        #expect(MemoryLayout<sockaddr_in>.offset(of: \.sin_port) == 2)
        #expect(MemoryLayout<sockaddr_in>.offset(of: \.sin_addr) == 4)
        #expect(MemoryLayout<sockaddr_in6>.size == 28)
        #expect(MemoryLayout<sockaddr_in6>.offset(of: \.sin6_port) == 2)
        #expect(MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr) == 8)
        #expect(MemoryLayout<sockaddr_in6>.offset(of: \.sin6_scope_id) == 24)
        #expect(clinux_cmsg_len(2) == 18)
        #expect(clinux_cmsg_space(2) == 24)
        #expect(UDP_NO_CHECK6_RX == 102)
        #expect(UDP_SEGMENT == 103)
        #expect(UDP_GRO == 104)
    }

    @Test("an outgoing piece is an iovec, for it is handed to the kernel as one")
    func pieces() {
        #expect(MemoryLayout<OutgoingPiece>.size == MemoryLayout<iovec>.size)
        #expect(MemoryLayout<OutgoingPiece>.stride == MemoryLayout<iovec>.stride)
        #expect(MemoryLayout<OutgoingPiece>.alignment == MemoryLayout<iovec>.alignment)
        #expect(MemoryLayout<iovec>.offset(of: \.iov_base) == 0)
        #expect(MemoryLayout<OutgoingPiece>.offset(of: \.bytes) == 0)
        #expect(MemoryLayout<iovec>.offset(of: \.iov_len) == 8)
        #expect(MemoryLayout<OutgoingPiece>.offset(of: \.byteCount) == 8)
    }

    @Test("signalfd_siginfo and pollfd")
    func polling() {
        #expect(MemoryLayout<signalfd_siginfo>.size == 128)
        #expect(MemoryLayout<signalfd_siginfo>.offset(of: \.ssi_signo) == 0)
        #expect(MemoryLayout<pollfd>.size == 8)
        #expect(MemoryLayout<pollfd>.offset(of: \.revents) == 6)
    }

    @Test("the TUN request codes and flags, which are missing from older headers")
    func tun() {
        #expect(CLINUX_TUNSETIFF == 0x4004_54CA)
        #expect(CLINUX_TUNSETPERSIST == 0x4004_54CB)
        #expect(CLINUX_TUNSETOFFLOAD == 0x4004_54D0)
        #expect(CLINUX_TUNGETIFF == 0x8004_54D2)
        #expect(CLINUX_TUNSETVNETHDRSZ == 0x4004_54D8)
        #expect(TUN_F_USO4 == 0x20)
        #expect(TUN_F_USO6 == 0x40)
        #expect(VIRTIO_NET_HDR_GSO_UDP_L4 == 5)
    }
}
