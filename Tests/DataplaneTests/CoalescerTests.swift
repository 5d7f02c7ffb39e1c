import TestSupport
import Testing
import Wire

@testable import Dataplane

@Suite("Segments that arrive in a row")
struct CoalescerTests {
    @Test("become this super-frame")
    func goldenIPv4() throws {
        let builder = FrameBuilder()
        let out = coalesce([
            builder.ipv4(identification: 7).tcp(sequence: 0xFFFF_FFFE, payload: [1, 2]),
            builder.ipv4(identification: 8).tcp(sequence: 0, payload: [3, 4]),
            builder.ipv4(identification: 9).tcp(sequence: 2, flags: [.ack, .psh], payload: [5]),
        ])
        #expect(out.count == 1)
        #expect(
            out.first?.bytes
                == Hex.bytes(
                    """
                    020000000002 020000000001 0800
                    4500 002d 0007 4000 4006 26c2 0a000001 0a000002   // length 45, id of the first
                    03e8 07d0 fffffffe 00000000
                    5018 ffff 1422 0000       // PSH of the last; sum of the pseudo header, 25 bytes
                    01 02 03 04 05
                    """))
        #expect(
            out.first?.offload
                == Offload(
                    flags: Offload.needsChecksum, gsoType: Offload.gsoTCPv4, headerByteCount: 54,
                    gsoSize: 2, checksumStart: 34, checksumOffset: 16))
    }

    @Test("become this super-frame over IPv6")
    func goldenIPv6() throws {
        let builder = FrameBuilder().ipv6()
        let options: [UInt8] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
        let out = coalesce([
            builder.tcp(sequence: 5, options: options, payload: [1, 2]),
            builder.tcp(sequence: 7, options: options, payload: [3, 4]),
        ])
        #expect(out.count == 1)
        #expect(
            out.first?.bytes
                == Hex.bytes(
                    """
                    020000000002 020000000001 86dd
                    6000 0000 0024 06 40                              // 36 bytes
                    20010db8000000000000000000000001
                    20010db8000000000000000000000002
                    03e8 07d0 00000005 00000000
                    8010 ffff 5b9f 0000                               // sum of the pseudo header
                    01 01 08 0a 00000001 00000002                     // timestamps
                    01 02 03 04
                    """))
        #expect(
            out.first?.offload
                == Offload(
                    flags: Offload.needsChecksum, gsoType: Offload.gsoTCPv6, headerByteCount: 86,
                    gsoSize: 2, checksumStart: 54, checksumOffset: 16))
    }

    @Test(
        "stay apart where one differs in what segments of a super-frame have in common",
        arguments: [
            (0, 0x01, true, "destination address"),
            (6, 0x02, true, "source address"),
            (15, 0x02, true, "traffic class: a congestion mark"),
            (20, 0x40, true, "DF"),
            (20, 0x20, true, "a fragment"),
            (22, 0x01, true, "time to live"),
            (26, 0x01, true, "another sender: another flow"),
            (34, 0x01, true, "another port: another flow"),
            (41, 0x01, true, "a gap in the sequence"),
            (45, 0x01, true, "acknowledgment"),
            (46, 0x01, true, "a reserved bit"),
            (47, 0x01, true, "FIN"),
            (47, 0x02, true, "SYN"),
            (47, 0x04, true, "RST"),
            (47, 0x10, true, "no ACK"),
            (47, 0x20, true, "URG"),
            (47, 0x40, true, "ECN echo"),
            (47, 0x80, true, "CWR"),
            (49, 0x01, true, "window"),
            (53, 0x01, true, "urgent pointer"),
            (57, 0x01, true, "a timestamp"),
            (18, 0x01, false, "identification, which means nothing with DF"),
            (47, 0x08, false, "PSH, which ends the run"),
        ])
    func differences(offset: Int, bits: UInt8, isApart: Bool, reason: String) {
        var second = segment(1)
        second[offset] ^= bits
        second = Self.refreshed(second)
        let frames = [segment(0), second, segment(2)]
        let out = coalesce(frames)
        if isApart {
            // The first alone; the second alone or with the third.
            #expect(out.first?.bytes == frames[0], "\(reason)")
            #expect(out.first?.offload == Offload.none)
        } else {
            #expect(out.first?.offload.isGSO == true, "\(reason)")
        }
        // Whatever it is, it comes out as it went in.
        #expect(
            resegmented(out).map(Self.withoutIdentification)
                == frames.map(Self.withoutIdentification))
    }

    @Test("end their run with a shorter one, and a longer one begins another")
    func lengths() {
        func frames(_ sizes: [Int]) -> [[UInt8]] {
            var sequence: UInt32 = 1
            return sizes.enumerated().map { index, size in
                defer { sequence += UInt32(size) }
                return FrameBuilder().ipv4(identification: UInt16(index)).tcp(
                    sequence: sequence, payload: [UInt8](repeating: 7, count: size))
            }
        }
        func counts(_ sizes: [Int]) -> [Int] { coalesce(frames(sizes)).map { $0.bytes.count - 54 } }
        #expect(counts([4, 4, 4]) == [12])
        #expect(counts([4, 4, 3, 3]) == [11, 3])
        #expect(counts([4, 5, 5]) == [4, 10])
        #expect(counts([4, 0, 4]) == [4, 0, 4])
        #expect(counts([0, 0]) == [0, 0])
        #expect(counts([1]) == [1])
    }

    @Test("go on alone if they carry padding, options or extension headers, or are cut short")
    func alone() {
        let ipv4 = FrameBuilder().ipv4()
        let options = FrameBuilder().ipv4(options: [1, 1, 1, 1])
        let extended = FrameBuilder().ipv6(extensions: [(.hopByHop, [0, 0, 1, 4, 0, 0, 0, 0])])
        let pairs: [([UInt8], [UInt8], String)] = [
            (
                ipv4.tcp(sequence: 0, payload: [1]), ipv4.tcp(sequence: 1, payload: [2]) + [0, 0],
                "Ethernet padding"
            ),
            (
                options.tcp(sequence: 0, payload: [1]), options.tcp(sequence: 1, payload: [2]),
                "IPv4 options"
            ),
            (
                extended.tcp(sequence: 0, payload: [1]), extended.tcp(sequence: 1, payload: [2]),
                "a hop-by-hop header"
            ),
            (ipv4.udp(payload: [1, 2]), ipv4.udp(payload: [1, 2]), "UDP"),
            (
                FrameBuilder().tagged(7).ipv4().tcp(sequence: 0, payload: [1]),
                FrameBuilder().tagged(7).ipv4().tcp(sequence: 1, payload: [2]), "a tag"
            ),
            (FrameBuilder().arpRequest(), FrameBuilder().arpReply(), "ARP"),
        ]
        for (first, second, reason) in pairs {
            #expect(coalesce([first, second]).map(\.bytes) == [first, second], "\(reason)")
        }
        for builder in [FrameBuilder().ipv4(), FrameBuilder().ipv6()] {
            let whole = builder.tcp(sequence: 0, payload: [1, 2, 3])
            let next = builder.tcp(sequence: 3, payload: [1, 2, 3])
            for byteCount in 0..<whole.count {
                let cut = Array(next.prefix(byteCount))
                #expect(coalesce([whole, cut]).map(\.bytes) == [whole, cut], "\(byteCount) bytes")
            }
        }
    }

    @Test("are the same after merging and cutting again")
    func roundTrip() throws {
        var random = SeededRandom(seed: 4)
        var mergedCount = 0
        for _ in 0..<150 {
            let frames = Self.stream(&random)
            let out = coalesce(frames)
            mergedCount += frames.count - out.count
            #expect(resegmented(out) == frames)
        }
        #expect(mergedCount > 1000)
    }

    @Test("are still those that came in when any byte of any was damaged")
    func corruption() throws {
        var random = SeededRandom(seed: 5)
        for _ in 0..<400 {
            var frames = Self.stream(&random, limit: 3000)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 0..<frames.count, using: &random)
                let offset = Int.random(in: 0..<frames[index].count, using: &random)
                frames[index][offset] ^= UInt8.random(in: 1...255, using: &random)
            }
            let out = resegmented(coalesce(frames))
            #expect(out.count == frames.count)
            #expect(
                out.sorted { $0.lexicographicallyPrecedes($1) }
                    == frames.sorted { $0.lexicographicallyPrecedes($1) })
        }
    }

    @Test("never make more than an IP packet, or more segments than a super-frame may have")
    func limits() throws {
        for builder in [FrameBuilder().ipv4(), FrameBuilder().ipv6()] {
            for (size, count) in [(1448, 120), (21000, 9), (32767, 5), (1, 4200)] {
                let frames = (0..<count).map {
                    builder.tcp(
                        sequence: UInt32($0 * size), payload: [UInt8](repeating: 3, count: size))
                }
                let out = coalesce(frames)
                let payload = out.reduce(0) { $0 + $1.bytes.count }
                #expect(payload < frames.reduce(0) { $0 + $1.count } || size == 32767)
                for frame in out {
                    #expect(frame.bytes.count - 14 <= 65_535)
                    let finding = frame.bytes.withUnsafeBytes { frame.offload.check($0) }
                    if case .invalid(let fault) = finding { Issue.record("\(fault)") }
                }
                #expect(resegmented(out).map(\.count) == frames.map(\.count))
            }
        }
    }

    @Test("of several flows keep the order of each")
    func interleaved() {
        var random = SeededRandom(seed: 6)
        for _ in 0..<60 {
            var next = [UInt32](repeating: 1, count: 7)
            var frames: [[UInt8]] = []
            for _ in 0..<150 {
                let flow = Int.random(in: 0..<7, using: &random)
                let payload = random.bytes(
                    Bool.random(using: &random) ? 100 : Int.random(in: 0...120, using: &random))
                var flags: TCPFlags = .ack
                if UInt8.random(in: 0...9, using: &random) == 0 { flags.insert(.psh) }
                if UInt8.random(in: 0...19, using: &random) == 0 { flags.insert(.ece) }
                frames.append(
                    FrameBuilder().ipv4(identification: UInt16(truncatingIfNeeded: next[flow]))
                        .tcp(
                            from: UInt16(flow), sequence: next[flow], flags: flags,
                            payload: payload))
                next[flow] &+= UInt32(payload.count)
            }
            let out = resegmented(coalesce(frames))
            for flow in 0..<7 {
                func own(_ frames: [[UInt8]]) -> [[UInt8]] {
                    frames.filter { $0[35] == UInt8(flow) }.map(Self.withoutIdentification)
                }
                #expect(own(out) == own(frames))
            }
        }
    }

    @Test("of one flow are not overtaken by what does not show its flow")
    func unclear() {
        let fragment = FrameBuilder().ipv6(extensions: [(.fragment, [0, 0, 0, 8, 0, 0, 0, 1])])
            .tcp(sequence: 4, payload: [9])
        let builder = FrameBuilder().ipv6()
        let frames = [
            builder.tcp(sequence: 0, payload: [1, 2]), fragment,
            builder.tcp(sequence: 2, payload: [3, 4]),
        ]
        #expect(coalesce(frames).map(\.bytes) == frames)
        // ARP is no part of any flow.
        let others = [frames[0], FrameBuilder().arpRequest(), frames[2]]
        #expect(coalesce(others).count == 2)
    }

    @Test("of two networks or ports are two flows")
    func domains() {
        withCoalescer { coalescer, burst in
            for (index, (domain, ingress)) in [(1, 1), (2, 1), (1, 2), (1, 1)].enumerated() {
                let frame = segment(index == 3 ? 1 : 0)
                let isTaken = frame.withUnsafeBytes {
                    coalescer.add(
                        $0, domain: UInt16(domain), ingress: UInt16(ingress), mtu: 65_535,
                        to: &burst)
                }
                #expect(isTaken)
            }
            coalescer.finish()
            let count = burst.count
            #expect(count == 3)
            let frames = burst.frames
            #expect((0..<3).map { frames[$0].offload.isGSO } == [true, false, false])
        }
    }

    @Test("join their run in a burst that is full, and wait for the next one otherwise")
    func fullBurst() {
        withCoalescer { coalescer, burst in
            func add(_ frame: [UInt8]) -> Bool {
                frame.withUnsafeBytes {
                    coalescer.add($0, domain: 0, ingress: 0, mtu: 65_535, to: &burst)
                }
            }
            for _ in 1..<Burst.capacity { #expect(add(FrameBuilder().arpRequest())) }
            #expect(add(segment(0)))
            let isFull = burst.isFull
            #expect(isFull)
            #expect(add(segment(1)))
            #expect(!add(segment(3)))
            #expect(!add(FrameBuilder().arpRequest()))
            #expect(!add(FrameBuilder().ipv4(options: [1, 1, 1, 1]).tcp()))
            coalescer.finish()
            let frames = burst.frames
            #expect(frames[Burst.capacity - 1].offload.isGSO)
            burst.clear()
            #expect(add(segment(3)))
            coalescer.finish()
            #expect(Array(frames[0].buffer) == segment(3))
            #expect(frames[0].offload == Offload.none)
        }
    }

    private struct Output {
        var bytes: [UInt8]
        var offload: Offload
    }

    /// A segment with timestamps and a payload of four bytes, the `index`th of its stream.
    private func segment(_ index: Int) -> [UInt8] {
        FrameBuilder().ipv4(identification: UInt16(100 + index)).tcp(
            sequence: UInt32(1000 + 4 * index),
            options: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            payload: [UInt8](repeating: UInt8(index), count: 4))
    }

    private func withCoalescer(_ body: (inout Coalescer, inout Burst) -> Void) {
        var pool = FramePool(capacity: Burst.capacity)
        var burst = Burst()
        var coalescer = Coalescer()
        burst.refill(from: &pool)
        body(&coalescer, &burst)
        burst.drain(into: &pool)
    }

    /// Everything that the frames became, burst after burst.
    private func coalesce(_ frames: [[UInt8]]) -> [Output] {
        var out: [Output] = []
        withCoalescer { coalescer, burst in
            func forward() {
                coalescer.finish()
                for index in 0..<burst.count {
                    let frame = burst.frames[index]
                    out.append(Output(bytes: Array(frame.buffer), offload: frame.offload))
                }
                burst.clear()
            }
            for frame in frames {
                func add() -> Bool {
                    frame.withUnsafeBytes {
                        coalescer.add($0, domain: 1, ingress: 2, mtu: 65_535, to: &burst)
                    }
                }
                if add() { continue }
                forward()
                let isTaken = add()
                #expect(isTaken)
            }
            forward()
        }
        return out
    }

    /// What a wire would see.
    private func resegmented(_ frames: [Output]) -> [[UInt8]] {
        frames.flatMap { frame in
            frame.offload.isPending ? Self.cut(frame.bytes, frame.offload) : [frame.bytes]
        }
    }

    private static func cut(_ frame: [UInt8], _ offload: Offload) -> [[UInt8]] {
        frame.withUnsafeBytes { frame -> [[UInt8]] in
            guard var segmenter = Segmenter(frame: frame, offload: offload) else {
                Issue.record("a super-frame that cannot be segmented")
                return []
            }
            var segments: [[UInt8]] = []
            var buffer = [UInt8](
                repeating: 0, count: segmenter.geometry.maximumSegmentByteCount)
            while let length = buffer.withUnsafeMutableBytes({ segmenter.next(into: $0) }) {
                segments.append(Array(buffer[..<length]))
            }
            return segments
        }
    }

    /// A stream of a few super-frames, cut into segments.
    private static func stream(_ random: inout SeededRandom, limit: Int = 20_000) -> [[UInt8]] {
        var sequence = UInt32.random(in: 0...UInt32.max, using: &random)
        var identification = UInt16.random(in: 0...UInt16.max, using: &random)
        let isIPv6 = Bool.random(using: &random)
        let options: [UInt8] =
            Bool.random(using: &random) ? [1, 1, 8, 10] + random.bytes(8) : []
        var frames: [[UInt8]] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let payload = random.bytes(Int.random(in: 1...limit, using: &random))
            let size = UInt16.random(in: 200...1460, using: &random)
            let flags: TCPFlags = Bool.random(using: &random) ? [.ack] : [.ack, .psh]
            let builder =
                isIPv6
                ? FrameBuilder().ipv6() : FrameBuilder().ipv4(identification: identification)
            let whole = builder.tcp(
                sequence: sequence, flags: flags, options: options, payload: payload,
                isPartial: true)
            let segments = cut(
                whole,
                Offload(
                    flags: Offload.needsChecksum,
                    gsoType: isIPv6 ? Offload.gsoTCPv6 : Offload.gsoTCPv4, gsoSize: size,
                    checksumStart: isIPv6 ? 54 : 34, checksumOffset: 16))
            frames += segments
            sequence &+= UInt32(payload.count)
            identification &+= UInt16(segments.count)
        }
        return frames
    }

    /// The frame with the checksums that its bytes want; IPv4 and TCP without IPv4 options.
    private static func refreshed(_ frame: [UInt8]) -> [UInt8] {
        var frame = frame
        frame.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            base.storeBigEndian(UInt16(0), at: 24)
            var sum = InternetChecksum()
            sum.add(base + 14, byteCount: 20)
            base.storeBigEndian(sum.value, at: 24)
            base.storeBigEndian(UInt16(0), at: 50)
            sum = .pseudoHeader(
                ipv4: base + 14, transportProtocol: .tcp, byteCount: bytes.count - 34)
            sum.add(base + 34, byteCount: bytes.count - 34)
            base.storeBigEndian(sum.value, at: 50)
        }
        return frame
    }

    /// An IPv4 frame without what a packet with DF may have any value in.
    private static func withoutIdentification(_ frame: [UInt8]) -> [UInt8] {
        var frame = frame
        for index in [18, 19, 24, 25] { frame[index] = 0 }
        return frame
    }
}
