import Dataplane

/// The traffic of the run in memory, burst by burst: mostly known unicast, and some of everything
/// else that costs something.
///
/// The switch it is made for, domain N on VLAN N·10:
///
///     0–7     access, domain 1
///     8, 9    access, domain 2
///     10      trunk, domains 1 and 2
///     11      trunk, domains 1 to 3, native 1
///     12, 13  access, domain 1, isolated
///     14      access, domain 1; its peer takes every offload, the others' none
struct TrafficMix: ~Copyable {
    static let portCount: UInt16 = 15

    struct Item: BitwiseCopyable {
        var start: Int
        var byteCount: Int
        var offload: Offload
        /// Whether the source address is to be a new one every time.
        var hasFreshSource: Bool
    }

    struct BurstPlan: BitwiseCopyable {
        var port: UInt16
        var first: Int
    }

    static let burstCount = 512

    private(set) var bytes: [UInt8] = []
    private(set) var items: [Item] = []
    private(set) var bursts: [BurstPlan] = []
    private var state: UInt64 = 0x5EED

    init() {
        for number in 0..<TrafficMix.burstCount {
            // 120 is a multiple of the ports: number 14 of each hundred and twenty is port 14.
            let port = UInt16(number % Int(TrafficMix.portCount))
            bursts.append(BurstPlan(port: port, first: items.count))
            for place in 0..<Burst.capacity {
                if number % 120 == 14, place == 7 {
                    addSuperFrame(from: port)
                } else {
                    add(from: port)
                }
            }
        }
    }

    /// Where a host of a domain is: 02:00:00:00:DD:PP.
    static func host(_ port: UInt16, _ domain: UInt16) -> UInt64 {
        0x0200_0000_0000 | UInt64(domain) << 8 | UInt64(port)
    }

    private mutating func random(_ bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }

    /// One frame of 64 bytes from `port`.
    private mutating func add(from port: UInt16) {
        // A trunk's hosts are in domain 1 here, tagged; port 11's untagged ones as well.
        let domain: UInt16 = port == 8 || port == 9 ? 2 : 1
        let tag: UInt16? = port == 10 ? 10 : nil
        let source = TrafficMix.host(port, domain)
        let peer: UInt16
        if domain == 2 {
            peer = port == 8 ? 9 : random(2) == 0 ? 8 : 10
        } else {
            let others: [UInt16] = [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 14]
            var choice = others[random(others.count)]
            if choice == port { choice = port == 0 ? 1 : 0 }
            peer = choice
        }
        let destination = TrafficMix.host(peer, domain)
        switch random(1000) {
        case 0..<8: append(0xFFFF_FFFF_FFFF, source, tag)
        case 8..<10: append(0x0200_00DE_AD00, source, tag)  // unknown
        case 10..<12: append(0x0180_C200_0000, source, tag)  // reserved
        case 12..<14: append(source, source, tag)  // hairpin
        case 14..<16: append(destination, 0x0100_0000_0001, tag)  // invalid source
        case 16..<18: append(destination, source, 999)  // no such VLAN, or a tag on access
        case 18..<20: append(TrafficMix.host(13, 1), source, tag)  // isolated, from 12
        case 20..<21: append(destination, source, tag, byteCount: 13)  // runt
        case 21..<25: append(destination, TrafficMix.host(200, domain), tag)  // moves about
        case 25..<27: append(destination, source, tag, isFresh: true)
        case 27..<40 where tag == nil: appendDatagram(destination, source)
        default: append(destination, source, tag)
        }
    }

    private mutating func append(
        _ destination: UInt64, _ source: UInt64, _ tag: UInt16?, byteCount: Int = 64,
        isFresh: Bool = false
    ) {
        let start = bytes.count
        appendHeader(destination, source, tag)
        appendBigEndian(0x88B5, 2)
        while bytes.count < start + byteCount { bytes.append(0xAA) }
        bytes.removeLast(bytes.count - start - byteCount)
        finish(start, .none, isFresh: isFresh)
    }

    /// A UDP datagram whose checksum is left to us.
    private mutating func appendDatagram(_ destination: UInt64, _ source: UInt64) {
        let start = bytes.count
        appendHeader(destination, source, nil)
        appendIPv4(proto: 17, byteCount: 50)
        appendBigEndian(0x1234_5678, 4)
        appendBigEndian(30, 2)
        appendBigEndian(0xBEEF, 2)
        while bytes.count < start + 64 { bytes.append(0xAA) }
        finish(
            start,
            Offload(flags: Offload.needsChecksum, checksumStart: 34, checksumOffset: 6))
    }

    /// 64 KiB of TCP in segments of 1,448 bytes from port 14, whose peers must get segments.
    private mutating func addSuperFrame(from port: UInt16) {
        let start = bytes.count
        appendHeader(TrafficMix.host(port == 0 ? 1 : 0, 1), TrafficMix.host(port, 1), nil)
        appendIPv4(proto: 6, byteCount: 65_000)
        appendBigEndian(0x1234_5678, 4)
        appendBigEndian(1, 4)
        appendBigEndian(1, 4)
        appendBigEndian(0x5018_FFFF, 4)
        appendBigEndian(0, 4)
        while bytes.count < start + 14 + 65_000 { bytes.append(0xAA) }
        finish(
            start,
            Offload(
                flags: Offload.needsChecksum, gsoType: Offload.gsoTCPv4, headerByteCount: 54,
                gsoSize: 1448, checksumStart: 34, checksumOffset: 16))
    }

    private mutating func appendHeader(_ destination: UInt64, _ source: UInt64, _ tag: UInt16?) {
        appendBigEndian(destination, 6)
        appendBigEndian(source, 6)
        if let tag { appendBigEndian(0x8100_0000 | UInt64(tag), 4) }
    }

    private mutating func appendIPv4(proto: UInt64, byteCount: UInt64) {
        appendBigEndian(0x0800, 2)
        appendBigEndian(0x4500_0000 | byteCount, 4)
        appendBigEndian(0x0000_4000, 4)
        appendBigEndian(0x4000_0000 | proto << 16, 4)
        appendBigEndian(0x0A00_0001, 4)
        appendBigEndian(0x0A00_0002, 4)
    }

    private mutating func appendBigEndian(_ value: UInt64, _ byteCount: Int) {
        for place in (0..<byteCount).reversed() {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * place)))
        }
    }

    private mutating func finish(_ start: Int, _ offload: Offload, isFresh: Bool = false) {
        items.append(
            Item(
                start: start, byteCount: bytes.count - start, offload: offload,
                hasFreshSource: isFresh))
    }
}
