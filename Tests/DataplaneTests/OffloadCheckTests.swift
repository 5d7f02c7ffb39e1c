import Dataplane
import TestSupport
import Testing
import Wire

@Suite("An offload is checked against its frame")
struct OffloadCheckTests {
    /// One row: an offload, what is found, and why.
    struct Row: Sendable, CustomTestStringConvertible {
        var frame: [UInt8]
        var offload: Offload
        var fault: OffloadFault?
        var testDescription: String

        init(
            _ frame: [UInt8], flags: UInt8 = 1, gso: UInt8 = 0, size: UInt16 = 0,
            start: UInt16, offset: UInt16, _ fault: OffloadFault?, _ reason: String
        ) {
            self.frame = frame
            offload = Offload(
                flags: flags, gsoType: gso, headerByteCount: 0xBEEF, gsoSize: size,
                checksumStart: start, checksumOffset: offset)
            self.fault = fault
            testDescription = reason
        }
    }

    private static let payload = [UInt8](repeating: 7, count: 3000)
    private static let tcp4 = FrameBuilder().ipv4().tcp(payload: payload)
    private static let tcp6 = FrameBuilder().ipv6().tcp(payload: payload)
    private static let udp4 = FrameBuilder().ipv4().udp(payload: payload)
    private static let nop8: [UInt8] = [0, 0, 1, 4, 0, 0, 0, 0]

    private static func with(_ frame: [UInt8], _ offset: Int, _ byte: UInt8) -> [UInt8] {
        var frame = frame
        frame[offset] = byte
        return frame
    }

    @Test(
        "for one checksum",
        arguments: [
            Row(tcp4, start: 34, offset: 16, nil, "TCP over IPv4"),
            Row(tcp6, start: 54, offset: 16, nil, "TCP over IPv6"),
            Row(udp4, start: 34, offset: 6, nil, "UDP"),
            Row(udp4, start: 42 + 34, offset: 16, nil, "behind a UDP tunnel's header"),
            Row(FrameBuilder().ipv6().icmpEcho(), start: 54, offset: 2, nil, "ICMPv6"),
            Row(FrameBuilder().tagged(5).ipv4().udp(), start: 38, offset: 6, nil, "one tag left"),
            Row(
                FrameBuilder().ipv6(extensions: [(.hopByHop, nop8)]).udp(), start: 62, offset: 6,
                nil, "behind an extension header"),
            Row(
                FrameBuilder().frame(EtherType(rawValue: 0x88B5), [0, 0, 0, 0]), start: 14,
                offset: 2, nil, "another protocol"),
            Row(
                Array(tcp4.prefix(51)), start: 34, offset: 16, .checksumOutsideFrame,
                "the field is cut"),
            Row(tcp4, start: 65535, offset: 65535, .checksumOutsideFrame, "far outside"),
            Row(tcp4, start: 0, offset: 6, .checksumMisplaced, "the source MAC"),
            Row(tcp4, start: 14, offset: 12, .checksumMisplaced, "the source IP"),
            Row(tcp4, start: 34, offset: 0, .checksumMisplaced, "TCP's source port"),
            Row(tcp4, start: 54, offset: 0, .checksumMisplaced, "TCP's payload"),
            Row(udp4, start: 34, offset: 2, .checksumMisplaced, "UDP's destination port"),
            Row(
                FrameBuilder().ipv6().icmpEcho(payload: [0, 0]), start: 62, offset: 0,
                .checksumMisplaced,
                "ICMPv6's body, where neighbour discovery has its target"),
            Row(
                FrameBuilder().arpRequest(), start: 28, offset: 0, .checksumMisplaced,
                "ARP's sender address"),
            Row(with(tcp4, 20, 0x20), start: 34, offset: 16, .checksumMisplaced, "a fragment"),
            Row(with(tcp4, 23, 132), start: 34, offset: 8, .checksumMisplaced, "SCTP's CRC"),
            Row(
                FrameBuilder().frame(.ipv4, [0x45, 0, 0]), start: 14, offset: 0,
                .malformedHeaders, "a cut IPv4 header"),
            Row(
                FrameBuilder().tagged(1).tagged(2).tagged(3).ipv4().udp(), start: 46, offset: 6,
                .malformedHeaders, "more tags than two"),
        ])
    func checksumOnly(row: Row) {
        let expected = row.fault.map { OffloadFinding.invalid($0) } ?? .checksumOnly
        #expect(row.frame.withUnsafeBytes { row.offload.check($0) } == expected)
    }

    @Test(
        "for segmentation",
        arguments: [
            Row(tcp4, gso: 1, size: 1448, start: 34, offset: 16, nil, "TCP over IPv4"),
            Row(tcp4, gso: 0x81, size: 1448, start: 34, offset: 16, nil, "with ECN"),
            Row(tcp6, gso: 4, size: 1448, start: 54, offset: 16, nil, "TCP over IPv6"),
            Row(udp4, gso: 5, size: 1000, start: 34, offset: 6, nil, "UDP"),
            Row(udp4, gso: 5, size: 5000, start: 34, offset: 6, nil, "less than one segment"),
            Row(
                FrameBuilder().ipv6(extensions: [(.hopByHop, nop8)]).tcp(payload: payload),
                gso: 4, size: 1000, start: 62, offset: 16, nil, "behind an extension header"),
            Row(tcp4, gso: 1, start: 34, offset: 16, .gsoSizeOutOfRange, "size 0"),
            Row(
                tcp4, gso: 1, size: 65535, start: 34, offset: 16, .gsoSizeOutOfRange,
                "segments longer than IP packets"),
            Row(tcp4, gso: 1, size: 1, start: 34, offset: 16, .tooManySegments, "3000 segments"),
            Row(
                tcp4, flags: 0, gso: 1, size: 1448, start: 34, offset: 16, .gsoWithoutChecksum,
                "no checksum asked for"),
            Row(tcp4, gso: 3, size: 1448, start: 34, offset: 16, .unknownGSOType, "UFO"),
            Row(tcp4, gso: 0x80, size: 9, start: 34, offset: 16, .unknownGSOType, "ECN alone"),
            Row(udp4, gso: 0x85, size: 1000, start: 34, offset: 6, .unknownGSOType, "UDP with ECN"),
            Row(tcp6, gso: 1, size: 9, start: 54, offset: 16, .gsoTypeMismatch, "IPv6 as IPv4"),
            Row(tcp4, gso: 4, size: 9, start: 34, offset: 16, .gsoTypeMismatch, "IPv4 as IPv6"),
            Row(tcp4, gso: 5, size: 9, start: 34, offset: 6, .gsoTypeMismatch, "TCP as UDP"),
            Row(
                FrameBuilder().arpRequest(), gso: 1, size: 9, start: 14, offset: 16,
                .gsoTypeMismatch, "ARP"),
            Row(
                with(tcp4, 20, 0x20), gso: 1, size: 1448, start: 34, offset: 16,
                .gsoTypeMismatch, "a fragment"),
            Row(
                FrameBuilder().ipv6(extensions: [(.routing, nop8)]).tcp(payload: payload),
                gso: 4, size: 1000, start: 62, offset: 16, .gsoTypeMismatch, "a routing header"),
            Row(
                FrameBuilder().ipv4().tcp(flags: .syn, payload: payload), gso: 1, size: 1000,
                start: 34, offset: 16, .gsoTypeMismatch, "SYN cannot be repeated"),
            Row(tcp4, gso: 1, size: 1448, start: 54, offset: 16, .checksumMisplaced, "wrong start"),
            Row(tcp4, gso: 1, size: 1448, start: 34, offset: 6, .checksumMisplaced, "wrong place"),
            Row(
                with(tcp4, 46, 0x40), gso: 1, size: 1448, start: 34, offset: 16,
                .malformedHeaders, "a TCP header of 16 bytes"),
            Row(
                with(Array(tcp4.prefix(60)), 46, 0xF0), gso: 1, size: 1448, start: 34,
                offset: 16, .malformedHeaders, "TCP options behind the frame's end"),
            Row(
                with(tcp4, 14, 0x4F), gso: 1, size: 1448, start: 34, offset: 16,
                .checksumMisplaced, "IPv4 options move the transport header"),
        ])
    func segmentation(row: Row) {
        let finding = row.frame.withUnsafeBytes { row.offload.check($0) }
        if let fault = row.fault {
            #expect(finding == .invalid(fault))
        } else if case .gso(let geometry) = finding {
            let size = geometry.gsoSize
            #expect(geometry.headerByteCount + geometry.payloadByteCount == row.frame.count)
            #expect(geometry.segmentCount == max(1, (geometry.payloadByteCount + size - 1) / size))
        } else {
            Issue.record("found \(finding)")
        }
    }

    @Test("by the start of the frame alone, when the rest is in foreign memory")
    func borrowed() {
        let offload = Offload(
            flags: 1, gsoType: 1, gsoSize: 1448, checksumStart: 34, checksumOffset: 16)
        let whole = Self.tcp4.withUnsafeBytes { offload.check($0) }
        let start = Array(Self.tcp4.prefix(54)).withUnsafeBytes {
            offload.check($0, byteCount: Self.tcp4.count)
        }
        let cut = Array(Self.tcp4.prefix(53)).withUnsafeBytes {
            offload.check($0, byteCount: Self.tcp4.count)
        }
        #expect(whole == start)
        #expect(cut == .invalid(.malformedHeaders))
        guard case .gso(let geometry) = whole else { return }
        #expect(geometry.maximumSegmentIPByteCount == 1488)
        #expect(geometry.segmentCount == 3)
    }

    @Test(
        "and keeps only what was verified",
        arguments: [
            (1, 1, 1448, 34, 16, 54, 1448),  // the hint becomes the parsed length
            (1, 0, 1448, 34, 16, 0, 0),  // no GSO, no hint and no size
            (2, 0, 1448, 34, 16, 0, 0),  // plain: nothing left but the flag
            (1, 1, 0, 34, 16, 0xBEEF, 0),  // invalid: as it was, for the report
        ])
    func admit(
        flags: UInt8, gso: UInt8, size: UInt16, start: UInt16, offset: UInt16, hint: UInt16,
        newSize: UInt16
    ) {
        var offload = Offload(
            flags: flags, gsoType: gso, headerByteCount: 0xBEEF, gsoSize: size,
            checksumStart: start, checksumOffset: offset)
        let before = Self.tcp4.withUnsafeBytes { offload.check($0) }
        let finding = Self.tcp4.withUnsafeBytes { offload.admit($0, byteCount: $0.count) }
        #expect(finding == before)
        #expect(offload.headerByteCount == hint)
        #expect(offload.gsoSize == newSize)
        #expect(offload.flags == flags)
        // What was admitted is admitted again, unchanged.
        var again = offload
        #expect(Self.tcp4.withUnsafeBytes { again.admit($0, byteCount: $0.count) } == finding)
        #expect(again == offload)
    }

    @Test("and a frame without one is plain", arguments: [0, 2])
    func plain(flags: UInt8) {
        let offload = Offload(flags: flags, checksumStart: 9999, checksumOffset: 9999)
        #expect(Self.tcp4.withUnsafeBytes { offload.check($0) } == .plain)
        #expect([UInt8]().withUnsafeBytes { offload.check($0) } == .plain)
    }

    @Test("without a trap, whatever both say")
    func random() {
        var random = SeededRandom(seed: 0x0FF1)
        let seeds = [
            FrameBuilder().ipv4().tcp(options: [1, 1, 1, 1], payload: random.bytes(60)),
            FrameBuilder().ipv6(extensions: [(.hopByHop, Self.nop8)]).tcp(payload: [1, 2, 3]),
            FrameBuilder().tagged(9).ipv4().udp(payload: random.bytes(30)),
            FrameBuilder().arpRequest(),
        ]
        let starts: [UInt16] = [14, 18, 34, 38, 54, 62, 65535]
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 8)
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 8)
        defer {
            buffer.deallocate()
            output.deallocate()
        }
        var segmentCount = 0
        var completedCount = 0
        for index in 0..<200_000 {
            let seed = seeds[index & 3]
            buffer.copyBytes(from: seed)
            let dice = random.next()
            // Half of the frames are changed in one byte, and a quarter are cut.
            if dice & 1 != 0 {
                buffer[Int(dice >> 8 & 0xFF) % seed.count] = UInt8(truncatingIfNeeded: dice >> 16)
            }
            let byteCount = dice & 6 == 0 ? Int(dice >> 24 & 0xFF) % (seed.count + 1) : seed.count
            var offload = Offload(
                flags: dice & 0x3000_0000 == 0 ? 0 : 1, gsoType: UInt8(dice >> 32 & 7),
                headerByteCount: UInt16(truncatingIfNeeded: dice >> 48),
                gsoSize: UInt16(dice >> 36 & 0x3F),
                checksumStart: starts[Int(dice >> 42 & 0xFF) % starts.count],
                checksumOffset: dice & 0x40_0000 == 0 ? 16 : UInt16(dice >> 50 & 0x1F))
            let frame = UnsafeMutableRawBufferPointer(rebasing: buffer[..<byteCount])
            switch offload.check(UnsafeRawBufferPointer(frame)) {
            case .checksumOnly:
                if offload.completeChecksum(in: frame) { completedCount += 1 }
            case .gso:
                var segmenter = Segmenter(frame: UnsafeRawBufferPointer(frame), offload: offload)
                while let length = segmenter?.next(into: output), length > 0 { segmentCount += 1 }
            case .plain, .invalid:
                _ = offload.completeChecksum(in: frame)
            }
        }
        #expect(segmentCount > 1000)
        #expect(completedCount > 1000)
    }
}
