import Dataplane
import TestSupport
import Testing
import Wire

@Suite("An offload header")
struct OffloadTests {
    @Test("is read and written as virtio_net_hdr_v1")
    func wire() {
        let header = Hex.bytes(
            """
            01          // needs checksum
            81          // TCPv4 with ECN
            42 00       // headers: 66 bytes
            a8 05       // GSO size 1448
            22 00       // checksum from 34
            10 00       // at +16
            01 00       // one buffer
            """)
        let offload = header.withUnsafeBytes { Offload(wire: $0.baseAddress!) }
        #expect(
            offload
                == Offload(
                    flags: 1, gsoType: Offload.gsoTCPv4 | Offload.gsoECN, headerByteCount: 66,
                    gsoSize: 1448, checksumStart: 34, checksumOffset: 16))
        var written = [UInt8](repeating: 0xEE, count: 12)
        written.withUnsafeMutableBytes { offload.store(to: $0.baseAddress!) }
        #expect(written == header)
    }

    @Test("loses flags that were never offered")
    func unknownFlags() {
        let header = Hex.bytes("ff 00 00 00 00 00 05 00 00 00 09 00")
        let offload = header.withUnsafeBytes { Offload(wire: $0.baseAddress!) }
        #expect(offload.flags == Offload.needsChecksum | Offload.dataValid)
    }

    @Test(
        "moves with a tag",
        arguments: [
            (1, 34, 66, 4, 38, 70),  // pushed
            (1, 38, 70, -4, 34, 66),  // popped
            (1, 34, 0, 4, 38, 0),  // no hint stays no hint
            (1, 2, 3, -4, 0, 0),  // hostile: no wrap below
            (1, 65535, 65534, 4, 65535, 65535),  // hostile: no wrap above
            (2, 0, 0, 4, 0, 0),  // nothing to finish, nothing to move
        ])
    func shift(
        flags: UInt8, start: UInt16, hint: UInt16, delta: Int, newStart: UInt16, newHint: UInt16
    ) {
        var offload = Offload(
            flags: flags, headerByteCount: hint, checksumStart: start, checksumOffset: 16)
        offload.shift(by: delta)
        #expect(offload.checksumStart == newStart)
        #expect(offload.headerByteCount == newHint)
    }

    @Test("is completed to the checksum that the sender would have computed")
    func complete() {
        let payload = Array(UInt8(0)..<77)
        let v4 = FrameBuilder().ipv4(options: [1, 1, 1, 1])
        let v6 = FrameBuilder().ipv6(extensions: [(.hopByHop, [0, 0, 1, 4, 0, 0, 0, 0])])
        let tagged = FrameBuilder().tagged(10).ipv4()
        let cases: [(partial: [UInt8], whole: [UInt8], start: UInt16, offset: UInt16)] = [
            (v4.tcp(payload: payload, isPartial: true), v4.tcp(payload: payload), 38, 16),
            (v4.udp(payload: payload, isPartial: true), v4.udp(payload: payload), 38, 6),
            (v6.tcp(payload: payload, isPartial: true), v6.tcp(payload: payload), 62, 16),
            (v6.udp(payload: [], isPartial: true), v6.udp(payload: []), 62, 6),
            (tagged.udp(payload: [9], isPartial: true), tagged.udp(payload: [9]), 38, 6),
        ]
        for (partial, whole, start, offset) in cases {
            var offload = Offload(flags: 1, checksumStart: start, checksumOffset: offset)
            var frame = partial
            #expect(frame != whole)
            #expect(frame.withUnsafeBytes { offload.check($0) } == .checksumOnly)
            let isComplete = frame.withUnsafeMutableBytes { offload.completeChecksum(in: $0) }
            #expect(isComplete)
            #expect(frame == whole)
            #expect(offload == .none)
        }
    }

    @Test("is completed to ffff where the sum comes to zero")
    func zeroChecksum() {
        // The payload is the checksum of the frame without one, so that all of it sums to zero.
        let empty = FrameBuilder().ipv4().udp(payload: [0, 0])
        let payload = Array(empty[40..<42])
        var frame = FrameBuilder().ipv4().udp(payload: payload, isPartial: true)
        var offload = Offload(flags: 1, checksumStart: 34, checksumOffset: 6)
        let isComplete = frame.withUnsafeMutableBytes { offload.completeChecksum(in: $0) }
        #expect(isComplete)
        #expect(frame[40..<42] == [0xFF, 0xFF])
    }

    @Test(
        "is not completed when that would write outside of the packet",
        arguments: [
            (1, 0, 34, 9, "the field ends one byte behind the frame"),
            (1, 0, 65535, 65535, "far behind"),
            (1, 0, 0, 6, "in the source address"),
            (0, 0, 34, 6, "not asked for"),
            (1, 1, 34, 6, "a super-frame"),
        ])
    func refuse(flags: UInt8, gsoType: UInt8, start: UInt16, offset: UInt16, reason: String) {
        let frame = Array(FrameBuilder().ipv4().udp().prefix(44))
        var offload = Offload(
            flags: flags, gsoType: gsoType, gsoSize: 1, checksumStart: start,
            checksumOffset: offset)
        var copy = frame
        let isComplete = copy.withUnsafeMutableBytes { offload.completeChecksum(in: $0) }
        #expect(!isComplete, "\(reason)")
        #expect(copy == frame)
    }
}
