import Dataplane
import Glibc
import Wire

/// The kernel's form of an address: sockaddr_in, or sockaddr_in6 (RFC 3493 §3.3).
extension UnderlayAddress {
    /// From one to the next in an array of them: 28 bytes at most, eight-byte aligned.
    static let socketAddressStride = 32

    var socketAddressByteCount: socklen_t {
        socklen_t(isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size)
    }

    /// Writes all but the address: family and port, and zero for the rest.
    func prepare(_ bytes: UnsafeMutableRawPointer, port: UInt16) {
        bytes.initializeMemory(
            as: UInt8.self, repeating: 0, count: UnderlayAddress.socketAddressStride)
        bytes.storeBytes(of: UInt16(isIPv4 ? AF_INET : AF_INET6), as: UInt16.self)
        bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
    }

    /// Writes the address alone, into what an address of the same family prepared.
    @inline(__always)
    func store(into bytes: UnsafeMutableRawPointer) {
        if isIPv4 {
            bytes.storeBytes(of: ipv4.bigEndian, toByteOffset: 4, as: UInt32.self)
        } else {
            bytes.storeBytes(of: high.bigEndian, toByteOffset: 8, as: UInt64.self)
            bytes.storeBytes(of: low.bigEndian, toByteOffset: 16, as: UInt64.self)
        }
    }

    /// Reads the address that the kernel wrote.
    @inline(__always)
    init(socketAddress bytes: UnsafeMutableRawPointer, isIPv4: Bool) {
        if isIPv4 {
            self.init(
                ipv4: UInt32(bigEndian: bytes.load(fromByteOffset: 4, as: UInt32.self)))
        } else {
            self.init(
                high: UInt64(bigEndian: bytes.load(fromByteOffset: 8, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.load(fromByteOffset: 16, as: UInt64.self)))
        }
    }

    /// As people write it.
    var text: String {
        isIPv4
            ? IPv4Address(rawValue: ipv4).description
            : IPv6Address(high: high, low: low).description
    }
}
