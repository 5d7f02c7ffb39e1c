// A test frame: an Ethernet header of the experimental EtherType 0x88B5 (IEEE 802-2014 clause 9.2.3),
// then, in network byte order:
//
//     14  run       4  drawn anew for each run, so that stragglers of an earlier one do not count
//     18  kind      1
//     19  flow      3  counted from 0
//     22  sequence  8  within the flow, from 0
//     30  time      8  when it was due to be sent: nanoseconds of the real-time clock
//     38  zeros up to the wanted size
//
// No protocol of the kernel claims this EtherType, so the stack behind the receiving interface drops
// the frame at its first look-up: the cheapest end there is. For a switch it is a frame like any.

import Wire

enum TestFrame {
    static let etherType: UInt16 = 0x88B5
    static let runOffset = 14
    static let kindOffset = 18
    static let minimumSize = 60
    static let maximumSize = 9216

    enum Kind: UInt8 {
        /// Makes its source address known to the switch.
        case announcement = 1
        /// Traffic that fills the switch before the measurement.
        case warmUp
        case data
        /// To be sent back as a reply.
        case request
        case reply
    }

    /// Writes everything but the padding.
    @inline(__always)
    static func write(
        to frame: UnsafeMutableRawPointer, destination: MACAddress, source: MACAddress,
        run: UInt32, kind: Kind, flow: Int, sequence: UInt64, time: UInt64
    ) {
        destination.store(to: frame)
        source.store(to: frame + 6)
        frame.storeBigEndian(etherType, at: 12)
        frame.storeBigEndian(run, at: 14)
        frame.storeBigEndian(
            UInt32(kind.rawValue) << 24 | UInt32(truncatingIfNeeded: flow), at: 18)
        frame.storeBigEndian(sequence, at: 22)
        frame.storeBigEndian(time, at: 30)
    }

    @inline(__always)
    static func flow(_ frame: UnsafeRawPointer) -> Int {
        Int(frame.loadBigEndian(18, as: UInt32.self) & 0xFF_FFFF)
    }
    @inline(__always)
    static func sequence(_ frame: UnsafeRawPointer) -> UInt64 { frame.loadBigEndian(22) }
    @inline(__always)
    static func time(_ frame: UnsafeRawPointer) -> UInt64 { frame.loadBigEndian(30) }
}
