/// What a port's peer accepts unfinished, so that the switch need not finish it in software.
package struct OffloadSet: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Partial checksums.
    package static let checksum = OffloadSet(rawValue: 1)
    /// TCP super-frames over IPv4.
    package static let tso4 = OffloadSet(rawValue: 2)
    /// TCP super-frames over IPv6.
    package static let tso6 = OffloadSet(rawValue: 4)
    /// TCP super-frames that carry ECN's CWR flag.
    package static let tsoECN = OffloadSet(rawValue: 8)
    /// UDP super-frames (segmented into datagrams), over IPv4 and IPv6.
    package static let uso = OffloadSet(rawValue: 16)

    /// Everything a Linux TAP can take.
    package static let all: OffloadSet = [.checksum, .tso4, .tso6, .tsoECN, .uso]

    /// Whether a peer with this set takes a super-frame of that kind whole.
    @inline(__always)
    func accepts(_ offload: Offload) -> Bool {
        guard contains(.checksum) else { return false }
        switch offload.gsoType & ~Offload.gsoECN {
        case Offload.gsoTCPv4:
            return contains(.tso4) && (offload.gsoType & Offload.gsoECN == 0 || contains(.tsoECN))
        case Offload.gsoTCPv6:
            return contains(.tso6) && (offload.gsoType & Offload.gsoECN == 0 || contains(.tsoECN))
        case Offload.gsoUDP: return contains(.uso)
        default: return false
        }
    }

    /// The names, for listings.
    package var names: [String] {
        var result: [String] = []
        if contains(.checksum) { result.append("checksum") }
        if contains(.tso4) { result.append("tso4") }
        if contains(.tso6) { result.append("tso6") }
        if contains(.tsoECN) { result.append("tso-ecn") }
        if contains(.uso) { result.append("uso") }
        return result
    }
}

/// What a receive call found.
package enum ReceiveOutcome: Sendable {
    /// The burst is full; more may be waiting.
    case more
    /// Everything that was waiting has been received.
    case drained
    /// The port can never receive again: its device or its input is gone.
    case ended
}

/// Where frames enter and leave the switch: an attachment seen from the dataplane.
///
/// One worker owns a port and makes all calls to it, except ``offloads``, which any thread may read.
/// `receive` and `transmit` never block: would-block is a value.
package protocol Port: AnyObject, Sendable {
    /// What the peer accepts unfinished.
    var offloads: OffloadSet { get }
    /// A descriptor that polls readable when `receive` has something; nil for a port that must be
    /// asked.
    var pollDescriptor: Int32? { get }
    /// Appends waiting frames to the burst until it is full or nothing waits.
    func receive(into burst: inout Burst) -> ReceiveOutcome
    /// Sends every entry, in order, and sets each one's outcome.
    func transmit(_ entries: UnsafeMutableBufferPointer<TransmitEntry>)
    /// Whether an entry may have a tail; otherwise borrowed frames are gathered first.
    var takesSegments: Bool { get }
    /// The last transmit of what was received last is over: what it borrowed may go back.
    func releaseBurst()

    /// Whether the peer shares memory with the switch instead of being asked by system calls: such
    /// a port is asked again and again while its worker is awake, and sleeps when it was armed.
    var isRing: Bool { get }
    /// Wants to be told by ``pollDescriptor`` when there is something to receive; false when there
    /// is already.
    func arm() -> Bool
    /// Takes back ``arm()``: notifications are not wanted, and one that came is done with.
    func disarm()
}

/// A port that asks the kernel, copies what it receives, and takes frames in two pieces.
extension Port {
    package var takesSegments: Bool { false }
    package func releaseBurst() {}
    package var isRing: Bool { false }
    package func arm() -> Bool { true }
    package func disarm() {}
}
