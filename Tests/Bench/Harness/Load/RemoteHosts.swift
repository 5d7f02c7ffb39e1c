import CLinux
import Glibc
import TestSupport

/// Many VTEPs in one namespace, of which each has an address. They announce MAC addresses, and take
/// what is sent to them: a socket on VXLAN's port fills its small queue, and the rest is dropped
/// there, which costs less than an answer that nobody listens to.
final class RemoteHosts {
    /// That a MAC address lives on a host, in a network.
    struct Announcement {
        /// Index of the host.
        let host: Int
        let vni: Int
        let mac: [UInt8]
    }

    private static let port: UInt16 = 4789
    private let addresses: [String]
    private let namespace: Namespace
    private let sink: Int32

    init(_ addresses: [String], in namespace: Namespace) throws {
        self.addresses = addresses
        self.namespace = namespace
        sink = try namespace.enter { try Self.open("0.0.0.0") }
    }

    deinit { close(sink) }

    /// Has each MAC address send a broadcast, from its host, by VXLAN (RFC 7348): ten thousand a
    /// second, slow enough for a switch that floods them as well.
    func announce(_ announcements: [Announcement], to address: String) throws {
        var sockets: [Int32] = []
        defer { for descriptor in sockets { close(descriptor) } }
        try namespace.enter {
            for address in addresses { sockets.append(try Self.open(address)) }
        }
        for (count, announcement) in announcements.enumerated() {
            let datagram = Self.datagram(announcement)
            let sent = try Self.withAddress(address) { target, length in
                sendto(
                    sockets[announcement.host], datagram, datagram.count, 0, target, length)
            }
            guard sent == datagram.count else {
                throw SystemCallFailure("send to \(address)", errno: errno)
            }
            if count % 20 == 0 { usleep(2000) }
        }
    }

    private static func datagram(_ announcement: Announcement) -> [UInt8] {
        let vni = announcement.vni
        let header: [UInt8] = [
            0x08, 0, 0, 0, UInt8(vni >> 16 & 0xFF), UInt8(vni >> 8 & 0xFF), UInt8(vni & 0xFF), 0,
        ]
        // Of the experimental EtherType, as the generator's frames.
        let type: [UInt8] = [0x88, 0xB5]
        let broadcast = [UInt8](repeating: 0xFF, count: 6)
        let padding = [UInt8](repeating: 0, count: 46)
        return header + broadcast + announcement.mac + type + padding
    }

    /// Opens a socket in the calling thread's namespace.
    private static func open(_ address: String) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemCallFailure("open a UDP socket", errno: errno) }
        // Any host's address beside the sink's wildcard; the kernel's least queue.
        var (one, least): (Int32, Int32) = (1, 0)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &least, 4)
        guard try withAddress(address, { bind(descriptor, $0, $1) }) == 0 else {
            let error = errno
            close(descriptor)
            throw SystemCallFailure("bind to \(address)", errno: error)
        }
        return descriptor
    }

    private static func withAddress<Value>(
        _ text: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) throws -> Value {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard inet_pton(AF_INET, text, &address.sin_addr) == 1 else {
            throw NotMeasured("'\(text)' is no address")
        }
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
