import Dataplane
import TestSupport
import Testing
import Wire

@Suite("A super-frame in software")
struct OffloadSegmenterTests {
    @Test("becomes these three segments")
    func golden() throws {
        let frame = FrameBuilder().ipv4(identification: 0xFFFF).tcp(
            sequence: 0xFFFF_FFFE, flags: [.ack, .psh, .fin, .cwr], payload: [1, 2, 3, 4, 5],
            isPartial: true)
        let segments = try #require(segment(frame, Offload.gsoTCPv4 | Offload.gsoECN, size: 2))
        let ethernet = "020000000002 020000000001 0800"
        #expect(
            segments == [
                Hex.bytes(
                    """
                    \(ethernet)
                    4500 002a ffff 4000 4006 26cc 0a000001 0a000002   // length 42, id ffff
                    03e8 07d0 fffffffe 00000000                       // first sequence number
                    5090 ffff 8e97 0000                               // CWR and ACK
                    0102
                    """),
                Hex.bytes(
                    """
                    \(ethernet)
                    4500 002a 0000 4000 4006 26cc 0a000001 0a000002   // id wraps to 0
                    03e8 07d0 00000000 00000000                       // sequence number wraps to 0
                    5010 ffff 8d14 0000                               // ACK
                    0304
                    """),
                Hex.bytes(
                    """
                    \(ethernet)
                    4500 0029 0001 4000 4006 26cc 0a000001 0a000002   // length 41
                    03e8 07d0 00000002 00000000
                    5019 ffff 8b0e 0000                               // FIN, PSH and ACK
                    05
                    """),
            ])
    }

    @Test("carries its payload whole, in segments that verify and fit")
    func properties() throws {
        var random = SeededRandom(seed: 42)
        let extensionHeader: [UInt8] = [0, 0, 1, 4, 0, 0, 0, 0]
        for round in 0..<400 {
            let limit = round < 390 ? 2000 : 60000
            let payload = random.bytes(Int.random(in: 0...limit, using: &random))
            let minimum = max(1, payload.count / Offload.maximumSegmentCount + 1)
            let size = Int.random(in: minimum...1500, using: &random)
            let identification = UInt16.random(in: 0...UInt16.max, using: &random)
            let base = Bool.random(using: &random) ? FrameBuilder() : FrameBuilder().tagged(7)
            let isIPv6 = Bool.random(using: &random)
            let isTCP = Bool.random(using: &random)
            let ip =
                isIPv6
                ? base.ipv6(
                    extensions: Bool.random(using: &random) ? [(.hopByHop, extensionHeader)] : [])
                : base.ipv4(
                    identification: identification,
                    options: Bool.random(using: &random) ? [1, 1, 1, 0] : [])
            let frame =
                isTCP
                ? ip.tcp(
                    sequence: 0xFFFF_FF00, flags: [.ack, .psh],
                    options: Bool.random(using: &random) ? [1, 1, 1, 0] : [], payload: payload,
                    isPartial: true)
                : ip.udp(payload: payload, isPartial: true)
            let type =
                isTCP ? (isIPv6 ? Offload.gsoTCPv6 : Offload.gsoTCPv4) : Offload.gsoUDP
            let segments = try #require(segment(frame, type, size: UInt16(size)))
            #expect(segments.count == max(1, (payload.count + size - 1) / size))

            let headerByteCount = frame.count - payload.count
            var joined: [UInt8] = []
            for (index, segment) in segments.enumerated() {
                let part = segment.dropFirst(headerByteCount)
                #expect(part.count <= size)
                #expect(index == segments.count - 1 || part.count == size)
                if let problem = problem(segment) { Issue.record("segment \(index): \(problem)") }
                joined += part
            }
            #expect(joined == payload)
        }
    }

    @Test("is left alone when there is no room for a segment")
    func shortBuffer() throws {
        let frame = FrameBuilder().ipv4().udp(payload: [1, 2, 3, 4], isPartial: true)
        let offload = Offload(
            flags: 1, gsoType: Offload.gsoUDP, gsoSize: 2, checksumStart: 34, checksumOffset: 6)
        frame.withUnsafeBytes { frame in
            guard var segmenter = Segmenter(frame: frame, offload: offload) else {
                Issue.record("not segmented")
                return
            }
            #expect(segmenter.geometry.maximumSegmentByteCount == 44)
            #expect(segmenter.maximumSegmentIPByteCount == 30)
            withUnsafeTemporaryAllocation(byteCount: 43, alignment: 1) {
                #expect(segmenter.next(into: $0) == nil)
            }
            withUnsafeTemporaryAllocation(byteCount: 44, alignment: 1) {
                #expect(segmenter.next(into: $0) == 44)
                #expect(segmenter.next(into: $0) == 44)
                #expect(segmenter.next(into: $0) == nil)
            }
        }
    }

    @Test("does not exist when the offload does not fit")
    func refused() {
        let frame = FrameBuilder().ipv4().udp(payload: [1, 2, 3, 4])
        #expect(segment(frame, Offload.gsoTCPv4, size: 2) == nil)
        #expect(segment(frame, Offload.gsoNone, size: 2) == nil)
    }

    /// Segments the frame with an offload that fits it.
    private func segment(_ frame: [UInt8], _ type: UInt8, size: UInt16) -> [[UInt8]]? {
        guard let (transport, _) = transport(of: frame) else { return nil }
        let offload = Offload(
            flags: Offload.needsChecksum, gsoType: type, gsoSize: size,
            checksumStart: UInt16(transport), checksumOffset: type == Offload.gsoUDP ? 6 : 16)
        return frame.withUnsafeBytes { frame -> [[UInt8]]? in
            guard var segmenter = Segmenter(frame: frame, offload: offload) else { return nil }
            var segments: [[UInt8]] = []
            var buffer = [UInt8](
                repeating: 0xEE, count: segmenter.geometry.maximumSegmentByteCount)
            while let length = buffer.withUnsafeMutableBytes({ segmenter.next(into: $0) }) {
                segments.append(Array(buffer[..<length]))
            }
            return segments
        }
    }

    /// The offset of the transport header and the sum of the pseudo header, taken from the frame.
    private func transport(of frame: [UInt8]) -> (offset: Int, pseudo: InternetChecksum)? {
        guard let ethernet = EthernetView(frame.span.bytes) else { return nil }
        let start = ethernet.headerByteCount
        return frame.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            if let ip = IPv4View(ethernet.payload) {
                let sum = InternetChecksum.pseudoHeader(
                    ipv4: base + start, transportProtocol: ip.transportProtocol,
                    byteCount: ip.totalByteCount - ip.headerByteCount)
                return (start + ip.headerByteCount, sum)
            }
            guard let ip = IPv6View(ethernet.payload), let transport = ip.transport() else {
                return nil
            }
            let sum = InternetChecksum.pseudoHeader(
                ipv6: base + start, transportProtocol: transport.transportProtocol,
                byteCount: ip.payloadByteCount + 40 - transport.offset)
            return (start + transport.offset, sum)
        }
    }

    /// What is wrong with a finished segment: its lengths or one of its checksums.
    private func problem(_ frame: [UInt8]) -> String? {
        guard let ethernet = EthernetView(frame.span.bytes),
            let (offset, pseudo) = transport(of: frame)
        else { return "headers" }
        if let ip = IPv4View(ethernet.payload) {
            guard ip.hasValidHeaderChecksum else { return "IPv4 header checksum" }
            guard ip.totalByteCount == ethernet.payload.byteCount else { return "IPv4 length" }
        } else if let ip = IPv6View(ethernet.payload) {
            guard ip.payloadByteCount + 40 == ethernet.payload.byteCount else {
                return "IPv6 length"
            }
        }
        var sum = pseudo
        sum.add(frame.span.bytes.extracting(droppingFirst: offset))
        return sum.value == 0 ? nil : "transport checksum"
    }
}
