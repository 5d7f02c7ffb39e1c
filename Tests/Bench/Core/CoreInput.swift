import Dataplane

/// The input of the core benchmark, the same bit by bit as in Tests/Bench/C/core_input.h.
///
/// Theory of operation
///
/// Eight ports. 0 to 3 are access ports of domain 1, 4 and 5 of domain 2, 6 and 7 trunks of both, so
/// that a quarter of the frames arrives tagged. Address number `i` lives behind port `i % 8`, in row
/// `i / 8`; behind a trunk even rows are in domain 1 and odd rows in domain 2. Bursts come from the
/// ports in turn, 64 frames each, 64 bytes a frame (tag included), with a vnet header of a plain
/// frame before it, as a TAP gives them.
///
/// Source and destination are drawn evenly from the addresses behind the ingress port and behind the
/// other ports of the source's domain: all known, no flow, so that every look-up is a new one. Of
/// 1024 frames 16 are something else: broadcast, hairpin, unknown destination, a VLAN that is not
/// allowed, a group address as source, a reserved destination, a host that moves, a runt.
struct CoreInput: ~Copyable {
    static let portCount = 8
    static let frameByteCount = 64
    /// Frame and vnet header, rounded up.
    static let stride = 80

    private let rows: UInt64
    private var state: UInt64 = 0x4845_4444_4C45
    private var ingress = 0
    /// Frames that have been made and wait for the ports, burst after burst.
    let frames: UnsafeMutableRawPointer
    let byteCounts: UnsafeMutablePointer<UInt32>

    /// - Parameter macs: a multiple of 16.
    /// - Parameter capacity: frames that are made at once at most.
    init(macs: Int, capacity: Int) {
        rows = UInt64(macs / CoreInput.portCount)
        frames = .allocate(byteCount: capacity * CoreInput.stride, alignment: 64)
        frames.initializeMemory(as: UInt8.self, repeating: 0, count: capacity * CoreInput.stride)
        byteCounts = .allocate(capacity: capacity)
        byteCounts.initialize(repeating: 0, count: capacity)
    }

    deinit {
        frames.deallocate()
        byteCounts.deallocate()
    }

    static func domain(port: Int, row: UInt64) -> UInt16 {
        port < 4 ? 1 : port < 6 ? 2 : 1 + UInt16(row & 1)
    }

    /// SplitMix64.
    private mutating func random() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    private static func address(port: Int, row: UInt64) -> UInt64 {
        0x0200_0000_0000 | (row * UInt64(portCount) + UInt64(port))
    }

    /// Makes the next burst of `count` frames at `place`; returns its ingress port.
    mutating func makeBurst(at place: Int, count: Int) -> Int {
        let port = ingress
        ingress = (ingress + 1) % CoreInput.portCount
        for number in place..<place + count { makeFrame(at: number, ingress: port) }
        return port
    }

    private mutating func makeFrame(at place: Int, ingress port: Int) {
        let first = random()
        let second = random()
        let row = ((first >> 32) * rows) >> 32
        let domain = CoreInput.domain(port: port, row: row)
        // The other ports of the domain in turn: 0 to 3, 6 and 7, or 4 to 7.
        let memberCount = domain == 1 ? 6 : 4
        let own = domain == 2 ? port - 4 : port < 4 ? port : port - 2
        let step = 1 + Int(((second & 0xFFFF) * UInt64(memberCount - 1)) >> 16)
        let member = own + step < memberCount ? own + step : own + step - memberCount
        let peer = domain == 2 ? member + 4 : member < 4 ? member : member + 2
        let target = CoreInput.row(second, of: rows, port: peer, domain: domain)
        var source = CoreInput.address(port: port, row: row)
        var destination = CoreInput.address(port: peer, row: target)
        var vid = port < 6 ? 0 : domain * 10
        var byteCount = CoreInput.frameByteCount
        switch first & 1023 {
        case 0...3: destination = 0xFFFF_FFFF_FFFF
        case 4...7:
            destination = CoreInput.address(
                port: port, row: CoreInput.row(second, of: rows, port: port, domain: domain))
        case 8, 9: destination = 0x02FF_0000_0000 | row
        case 10, 11: vid = 999
        case 12: source = 0x0100_5E00_0001
        case 13: destination = 0x0180_C200_0000
        case 14: swap(&source, &destination)
        case 15: byteCount = 13
        default: break
        }
        write(
            place, destination, source,
            tci: vid == 0 ? nil : UInt16((second >> 16) & 7) << 13 | vid)
        byteCounts[place] = UInt32(byteCount)
    }

    private static func row(
        _ random: UInt64, of rows: UInt64, port: Int, domain: UInt16
    ) -> UInt64 {
        let row = ((random >> 32) * rows) >> 32
        return port < 6 ? row : row & ~1 | UInt64(domain - 1)
    }

    private func write(_ place: Int, _ destination: UInt64, _ source: UInt64, tci: UInt16?) {
        let frame = frames + place * CoreInput.stride + SlotSize.vnetHeader
        let type = tci.map { 0x8100_0000 | UInt64($0) } ?? 0x88B5_0000
        let head = (destination << 16 | source >> 32).bigEndian
        frame.storeBytes(of: head, as: UInt64.self)
        frame.storeBytes(of: (source << 32 | type).bigEndian, toByteOffset: 8, as: UInt64.self)
        let next: UInt16 = tci == nil ? 0 : 0x88B5
        frame.storeBytes(of: next.bigEndian, toByteOffset: 16, as: UInt16.self)
    }

    /// Makes a broadcast from address number `index`, by which the switch learns it; returns the
    /// ingress port.
    func makeAnnouncement(of index: Int) -> Int {
        let port = index % CoreInput.portCount
        let row = UInt64(index / CoreInput.portCount)
        let vid = port < 6 ? nil : CoreInput.domain(port: port, row: row) * 10
        write(0, 0xFFFF_FFFF_FFFF, CoreInput.address(port: port, row: row), tci: vid)
        byteCounts[0] = UInt32(CoreInput.frameByteCount)
        return port
    }
}
