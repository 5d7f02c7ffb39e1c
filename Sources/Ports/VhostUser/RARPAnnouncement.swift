import Wire

/// The frame that makes a guest known after it has moved: a reverse ARP request from its address to
/// all (RFC 903), as QEMU sends it. Nobody answers; every bridge on the way learns.
enum RARPAnnouncement {
    static let byteCount = 60

    static func write(_ address: MACAddress, to frame: UnsafeMutableRawPointer) {
        frame.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        frame.initializeMemory(as: UInt8.self, repeating: 0xFF, count: 6)
        address.store(to: frame + 6)
        frame.storeBigEndian(UInt16(0x8035), at: 12)
        // Ethernet and IPv4, addresses of six and four bytes, operation "request reverse".
        frame.storeBigEndian(UInt16(1), at: 14)
        frame.storeBigEndian(UInt16(0x0800), at: 16)
        frame.storeBigEndian(UInt16(0x0604), at: 18)
        frame.storeBigEndian(UInt16(3), at: 20)
        address.store(to: frame + 22)
        address.store(to: frame + 32)
    }
}
