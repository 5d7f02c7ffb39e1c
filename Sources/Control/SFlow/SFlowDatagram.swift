import Wire

/// An sFlow version 5 datagram that grows by samples (sflow.org/sflow_version_5.txt, its XDR types
/// in section 5; XDR is RFC 4506: big-endian words of four bytes, opaque data padded to them).
///
/// Ports are data sources of type 0 (ifIndex) with the switch's own numbers plus one, which stay
/// with their names across restarts: zero is sFlow's "unknown". A frame's length is
/// told with the FCS that the switch never sees, as the raw packet header record wants it.
struct SFlowDatagram {
    /// Where a sampled frame went.
    enum Output: Equatable {
        case unknown
        case port(UInt32)
        /// Copies to so many ports; zero where that is not known.
        case several(UInt32)
        /// A reason of the specification's list, or 256 for one that has none there.
        case dropped(UInt32)

        var word: UInt32 {
            switch self {
            case .unknown: 0
            case .port(let index): index
            case .several(let count): 2 << 30 | count & 0x3FFF_FFFF
            case .dropped(let reason): 1 << 30 | reason & 0x3FFF_FFFF
            }
        }
    }

    /// A frame that was sampled (`flow_sample` with a `sampled_header`).
    struct FlowSample {
        var sequence: UInt32
        var port: UInt32
        var rate: UInt32
        /// Frames among which samples were taken.
        var pool: UInt32
        /// Samples that were taken and lost.
        var drops: UInt32
        var output: Output
        var originalByteCount: UInt32
        var header: [UInt8]

        /// In the datagram, padding included.
        var byteCount: Int { 64 + (header.count + 3) & ~3 }
    }

    /// A port's counters (`counters_sample` with `if_counters` and its name).
    struct CounterSample {
        var sequence: UInt32
        var port: UInt32
        var name: String
        var isTunnel = false
        /// Administratively and in fact.
        var isEnabled: Bool
        var isUp: Bool
        var receivedBytes: UInt64
        var receivedFrames: UInt64
        var receivedDrops: UInt64
        var transmittedBytes: UInt64
        var transmittedFrames: UInt64
        var transmittedDrops: UInt64

        var byteCount: Int { 128 + (name.utf8.count + 3) & ~3 }
    }

    /// Samples beyond are for the next: what fits an Ethernet path with room for headers.
    static let byteLimit = 1400

    private(set) var bytes: [UInt8] = []
    private(set) var count: UInt32 = 0
    private let countOffset: Int

    init(agent: IPAddress, sequence: UInt32, uptimeMilliseconds: UInt32) {
        bytes.reserveCapacity(Self.byteLimit)
        let octets = agent.octets
        // Version; type of the agent's address, 1 for IPv4 and 2 for IPv6.
        bytes.append(word: 5)
        bytes.append(word: octets.count == 4 ? 1 : 2)
        bytes += octets
        // One sub-agent: all workers are one switch.
        bytes.append(word: 0)
        bytes.append(word: sequence)
        bytes.append(word: uptimeMilliseconds)
        countOffset = bytes.count
        bytes.append(word: 0)
    }

    var isEmpty: Bool { count == 0 }

    func hasRoom(for byteCount: Int) -> Bool { bytes.count + byteCount <= Self.byteLimit }

    mutating func append(_ sample: FlowSample) {
        let padding = (4 - sample.header.count % 4) % 4
        bytes.append(word: 1)
        bytes.append(word: UInt32(sample.byteCount - 8))
        bytes.append(word: sample.sequence)
        bytes.append(word: sample.port & 0xFF_FFFF)
        for value in [sample.rate, sample.pool, sample.drops, sample.port, sample.output.word] {
            bytes.append(word: value)
        }
        // One record: the raw header, of Ethernet (1); its FCS of four bytes was stripped.
        bytes.append(word: 1)
        bytes.append(word: 1)
        bytes.append(word: UInt32(16 + sample.header.count + padding))
        bytes.append(word: 1)
        bytes.append(word: sample.originalByteCount &+ 4)
        bytes.append(word: 4)
        bytes.append(word: UInt32(sample.header.count))
        bytes += sample.header
        bytes += [UInt8](repeating: 0, count: padding)
        added()
    }

    mutating func append(_ sample: CounterSample) {
        let name = Array(sample.name.utf8)
        let padding = (4 - name.count % 4) % 4
        bytes.append(word: 2)
        bytes.append(word: UInt32(sample.byteCount - 8))
        bytes.append(word: sample.sequence)
        bytes.append(word: sample.port & 0xFF_FFFF)
        bytes.append(word: 2)
        // Generic interface counters, 88 bytes. What is not counted apart (groups, errors) is told
        // as all ones, and a software port has no speed.
        bytes.append(word: 1)
        bytes.append(word: 88)
        bytes.append(word: sample.port)
        // IANAifType: ethernetCsmacd, tunnel.
        bytes.append(word: sample.isTunnel ? 131 : 6)
        bytes.append(long: 0)
        // Full duplex.
        bytes.append(word: 1)
        bytes.append(word: (sample.isEnabled ? 1 : 0) | (sample.isUp ? 2 : 0))
        append(sample.receivedBytes, sample.receivedFrames, sample.receivedDrops)
        bytes.append(word: .max)
        append(sample.transmittedBytes, sample.transmittedFrames, sample.transmittedDrops)
        // Every port takes every frame: ifPromiscuousMode true.
        bytes.append(word: 1)
        // The port's name (sFlow Port Names, format 1005).
        bytes.append(word: 1005)
        bytes.append(word: UInt32(4 + name.count + padding))
        bytes.append(word: UInt32(name.count))
        bytes += name
        bytes += [UInt8](repeating: 0, count: padding)
        added()
    }

    /// Octets, unicast, multicast and broadcast packets, discards and errors. Frames of all three
    /// kinds are counted as one.
    private mutating func append(_ octets: UInt64, _ frames: UInt64, _ discards: UInt64) {
        bytes.append(long: octets)
        bytes.append(word: UInt32(truncatingIfNeeded: frames))
        bytes.append(word: .max)
        bytes.append(word: .max)
        bytes.append(word: UInt32(truncatingIfNeeded: discards))
        bytes.append(word: .max)
    }

    private mutating func added() {
        count += 1
        for (place, byte) in count.octets.enumerated() { bytes[countOffset + place] = byte }
    }
}

extension UInt32 {
    fileprivate var octets: [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: self >> (24 - 8 * $0)) }
    }
}

extension [UInt8] {
    fileprivate mutating func append(word: UInt32) { self += word.octets }

    /// An XDR unsigned hyper.
    fileprivate mutating func append(long: UInt64) {
        append(word: UInt32(truncatingIfNeeded: long >> 32))
        append(word: UInt32(truncatingIfNeeded: long))
    }
}
