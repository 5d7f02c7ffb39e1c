import CLinux
import Glibc
import SystemPackage
import Wire

/// A UDP socket that sends to one address and never waits.
final class DatagramSocket: Sendable {
    private let descriptor: FileDescriptor
    /// The address by which it sends.
    let local: IPAddress

    /// - Throws: also when there is no route; try again later.
    init(to address: IPAddress, port: UInt16) throws(SystemError) {
        let family = if case .v4 = address { AF_INET } else { AF_INET6 }
        let purpose = "send to \(address) UDP port \(port)"
        let descriptor = FileDescriptor(
            rawValue: try check(
                socket(
                    family,
                    Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
                        | Int32(SOCK_NONBLOCK.rawValue), 0), purpose))
        var storage = sockaddr_storage()
        let length = DatagramSocket.write(address, port, to: &storage)
        let connected = withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor.rawValue, $0, length)
            }
        }
        guard connected == 0 else {
            let errno = Errno.current
            try? descriptor.close()
            throw SystemError(purpose, errno)
        }
        self.descriptor = descriptor
        local = DatagramSocket.name(of: descriptor) ?? address
    }

    deinit {
        try? descriptor.close()
    }

    /// Sends a datagram; false when it is lost, for want of room or of a way.
    func send(_ bytes: [UInt8]) -> Bool {
        // That nobody is there is told of an earlier datagram: this one was not sent yet.
        let isSent = attempt(bytes)
        return isSent || (errno == ECONNREFUSED && attempt(bytes))
    }

    private func attempt(_ bytes: [UInt8]) -> Bool {
        let count = bytes.withUnsafeBytes {
            Glibc.send(
                descriptor.rawValue, $0.baseAddress, $0.count,
                Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        }
        return count == bytes.count
    }

    /// RFC 3493 section 3.3: family, port, then IPv4's address at 4 or IPv6's at 8.
    private static func write(
        _ address: IPAddress, _ port: UInt16, to storage: inout sockaddr_storage
    ) -> socklen_t {
        let octets = address.octets
        let isIPv4 = octets.count == 4
        withUnsafeMutableBytes(of: &storage) { bytes in
            bytes.storeBytes(of: UInt16(isIPv4 ? AF_INET : AF_INET6), as: UInt16.self)
            bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            for (place, octet) in octets.enumerated() { bytes[(isIPv4 ? 4 : 8) + place] = octet }
        }
        return socklen_t(
            isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size)
    }

    private static func name(of descriptor: FileDescriptor) -> IPAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor.rawValue, $0, &length)
            }
        }
        guard status == 0 else { return nil }
        let family = Int32(storage.ss_family)
        return withUnsafeBytes(of: &storage) { bytes in
            func word(_ offset: Int) -> UInt64 {
                (0..<8).reduce(0) { $0 << 8 | UInt64(bytes[offset + $1]) }
            }
            switch family {
            case AF_INET: return .v4(IPv4Address(rawValue: UInt32(word(4) >> 32)))
            case AF_INET6: return .v6(IPv6Address(high: word(8), low: word(16)))
            default: return nil
            }
        }
    }
}
