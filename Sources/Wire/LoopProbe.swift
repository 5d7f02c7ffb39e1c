// A loop probe: a small frame that the switch sends by one of its ports, from an address that is
// its alone. Whatever connects that port with another one, or with itself, brings it back.
//
//     Ethernet   to a group address of our own, so that no host listens and every bridge floods;
//                EtherType 0x88B5, local experimental (IEEE Std 802-2014 clause 9.2.4)
//     payload    magic (8) | instance (8) | serial (4) | port (2) | domain (2)     network order
//
// No standard has a frame for this: IEEE 802.1Q's own means, spanning trees, elect a tree and take
// seconds, and what LLDP sends is never forwarded.

/// Builds and recognises the frames by which the switch finds loops.
public struct LoopProbe: Equatable, Sendable, BitwiseCopyable {
    /// The destination of every probe.
    public static var destinationMAC: MACAddress { MACAddress(rawValue: 0x0368_6564_646C) }
    /// Length of the frame: the shortest that Ethernet has, without FCS.
    public static var byteCount: Int { 60 }

    private static var magic: UInt64 { 0x6865_6464_6C65_3A6C }  // "heddle:l"

    /// Whose probe it is.
    public var instance: UInt64
    public var serial: UInt32
    /// The port that it left by.
    public var port: UInt16
    /// The bridge domain that it left in.
    public var domain: UInt16

    public init(instance: UInt64, serial: UInt32, port: UInt16, domain: UInt16) {
        self.instance = instance
        self.serial = serial
        self.port = port
        self.domain = domain
    }

    /// The source address of an instance's probes: locally administered, and never a host's.
    public static func sourceMAC(instance: UInt64) -> MACAddress {
        MACAddress(rawValue: 0x0A00_0000_0000 | (instance & 0xFF_FFFF_FFFF))
    }

    /// The frame, untagged, ``byteCount`` bytes.
    public var frame: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: LoopProbe.byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            LoopProbe.destinationMAC.store(to: base)
            LoopProbe.sourceMAC(instance: instance).store(to: base + 6)
            base.storeBigEndian(UInt16(0x88B5), at: 12)
            base.storeBigEndian(LoopProbe.magic, at: 14)
            base.storeBigEndian(instance, at: 22)
            base.storeBigEndian(serial, at: 30)
            base.storeBigEndian(port, at: 34)
            base.storeBigEndian(domain, at: 36)
        }
        return bytes
    }

    /// Reads an untagged frame; nil for one that is no probe.
    public static func parse(_ frame: UnsafeRawBufferPointer) -> LoopProbe? {
        guard frame.count >= 38, let base = frame.baseAddress,
            base.loadBigEndian(12, as: UInt16.self) == 0x88B5,
            base.loadBigEndian(14, as: UInt64.self) == magic
        else { return nil }
        return LoopProbe(
            instance: base.loadBigEndian(22), serial: base.loadBigEndian(30),
            port: base.loadBigEndian(34), domain: base.loadBigEndian(36))
    }
}
