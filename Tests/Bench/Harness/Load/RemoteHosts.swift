import CLinux
import Glibc
import TestSupport

/// Many VTEPs in one namespace: a UDP socket on each one's address and VXLAN's port. They announce
/// addresses; what is sent to them fills their small queues and is dropped there, which costs less
/// than an answer that nobody listens.
final class RemoteHosts {
    private static let port: UInt16 = 4789
    private var sockets: [Int32] = []

    init(_ addresses: [String], in namespace: Namespace) throws {
        try namespace.enter {
            for address in addresses {
                let descriptor = socket(
                    AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
                guard descriptor >= 0 else {
                    throw SystemCallFailure("open a UDP socket", errno: errno)
                }
                sockets.append(descriptor)
                var byteCount: Int32 = 0
                setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &byteCount, 4)
                guard try Self.withAddress(address, { bind(descriptor, $0, $1) }) == 0 else {
                    throw SystemCallFailure("bind to \(address)", errno: errno)
                }
            }
        }
    }

    deinit { for descriptor in sockets { close(descriptor) } }

    /// Sends a broadcast from a MAC address that lives on host `host`, by VXLAN (RFC 7348).
    func announce(_ mac: [UInt8], vni: Int, from host: Int, to address: String) throws {
        let header: [UInt8] = [
            0x08, 0, 0, 0, UInt8(vni >> 16 & 0xFF), UInt8(vni >> 8 & 0xFF), UInt8(vni & 0xFF), 0,
        ]
        // Of the experimental EtherType, as the generator's frames.
        let frame =
            [UInt8](repeating: 0xFF, count: 6) + mac + [0x88, 0xB5]
            + [UInt8](repeating: 0, count: 46)
        let datagram = header + frame
        let sent = try Self.withAddress(address) { target, length in
            sendto(sockets[host], datagram, datagram.count, 0, target, length)
        }
        guard sent == datagram.count else {
            throw SystemCallFailure("send to \(address)", errno: errno)
        }
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
