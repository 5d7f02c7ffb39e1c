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

import CLinux
import Glibc
import TestSupport
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

    /// Writes everything but the padding. What follows an IEEE 802.1Q tag stands four bytes further
    /// back than where the receiving side looks for it: tagged frames are counted by devices only.
    @inline(__always)
    static func write(
        to frame: UnsafeMutableRawPointer, vlan: UInt16? = nil, destination: MACAddress,
        source: MACAddress, run: UInt32, kind: Kind, flow: Int, sequence: UInt64, time: UInt64
    ) {
        destination.store(to: frame)
        source.store(to: frame + 6)
        var frame = frame
        if let vlan {
            frame.storeBigEndian(0x8100_0000 | UInt32(vlan), at: 12)
            frame += 4
        }
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

extension TestFrame {
    /// Has a packet socket receive the test frames of one run and kind at an interface, and their
    /// first `copying` bytes.
    static func receive(
        on socket: Int32, index: Int32, run: UInt32, kind: Kind, copying: UInt32
    ) throws(GeneratorError) {
        func load(_ size: Int32, _ offset: Int) -> sock_filter {
            sock_filter(code: UInt16(BPF_LD | size | BPF_ABS), jt: 0, jf: 0, k: UInt32(offset))
        }
        func rejectUnless(_ value: UInt32, jump: UInt8) -> sock_filter {
            sock_filter(code: UInt16(BPF_JMP | BPF_JEQ | BPF_K), jt: 0, jf: jump, k: value)
        }
        func result(_ value: UInt32) -> sock_filter {
            sock_filter(code: UInt16(BPF_RET | BPF_K), jt: 0, jf: 0, k: value)
        }
        let program = [
            load(BPF_W, runOffset), rejectUnless(run, jump: 3),
            load(BPF_B, kindOffset), rejectUnless(UInt32(kind.rawValue), jump: 1),
            result(copying), result(0),
        ]
        try check(attachFilter(program, to: socket), "attach a filter to a packet socket")
        try check(
            bindPacketSocket(socket, index: index, etherType: etherType), "bind a packet socket")
    }
}
