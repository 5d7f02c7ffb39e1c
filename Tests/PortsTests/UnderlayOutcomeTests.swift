import CLinux
import Glibc
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite(
    "What becomes of a message that the kernel does not take", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct UnderlayOutcomeTests {
    @Test("is told of it alone, between others that are sent", arguments: Family.allCases)
    func among(family: Family) throws {
        try inUnderlayNamespace {
            try ip("link set lo mtu 1500")
            let here = try UDPUnderlay(kind: "vxlan", local: family.address(1), port: 4789)
            let there = try UDPUnderlay(kind: "vxlan", local: family.address(2), port: 4789)
            let fits = 1500 - family.headerByteCount
            let other: Family = family == .ipv4 ? .ipv6 : .ipv4
            let rows: [(TestMessage, String)] = [
                (TestMessage(bytes: pattern(10), to: family.address(2)), "none"),
                (TestMessage(bytes: pattern(11), to: family.unreachable), "tunnel-down"),
                (TestMessage(bytes: pattern(12), to: family.address(2)), "none"),
                (TestMessage(bytes: pattern(fits + 1), to: family.address(2)), "overlay-mtu"),
                (TestMessage(bytes: pattern(fits), to: family.address(2)), "none"),
                // The same with segments: one too long, and no route.
                (
                    TestMessage(
                        bytes: pattern(2 * fits + 2), to: family.address(2), segment: fits + 1),
                    "overlay-mtu"
                ),
                (
                    TestMessage(bytes: pattern(3000), to: family.unreachable, segment: 1000),
                    "tunnel-down"
                ),
                (TestMessage(bytes: pattern(13), to: other.address(2)), "tunnel-down"),
                (
                    TestMessage(bytes: pattern(2 * fits), to: family.address(2), segment: fits),
                    "none"
                ),
            ]
            #expect(TestMessage.send(rows.map(\.0), by: here) == rows.map(\.1))
            #expect(here.pathMTUErrors == 2)
            #expect(here.segments, "neither error says anything about segmentation")
            let expected = rows.filter { $0.1 == "none" }.flatMap(\.0.bytes)
            let received = TestDatagrams.receive(expected.count, from: there)
            #expect(received.flatMap(\.bytes) == expected)
        }
    }

    @Test("is 'full' when the socket's buffer is, for that socket only")
    func full() throws {
        try inUnderlayNamespace {
            // Nobody answers ARP behind this one, so the kernel holds what is sent there.
            try ip("link add out0 type veth peer name out1")
            try ip("link set out0 up")
            try ip("link set out1 up")
            try ip("address add 198.51.100.1/24 dev out0")
            let here = try UDPUnderlay(
                kind: "vxlan", local: UnderlayAddress(ipv4: 0xC633_6401), port: 4789)
            let source = here.sources[0].descriptor
            var small: Int32 = 1
            #expect(setsockopt(source, SOL_SOCKET, SO_SNDBUF, &small, 4) == 0)
            let nobody = UnderlayAddress(ipv4: 0xC633_6402)
            let messages = (0..<70).map {
                TestMessage(bytes: pattern(1000), to: nobody, source: $0 < 65 ? 0 : 1)
            }
            let outcomes = TestMessage.send(messages, by: here)
            #expect(outcomes[0] == "none")
            #expect(outcomes[10..<65].allSatisfy { $0 == "egress-full" })
            #expect(outcomes[65...].allSatisfy { $0 == "none" })
        }
    }

    @Test("is 'rejected' with more pieces than the kernel takes")
    func pieces() throws {
        try inUnderlayNamespace {
            let here = try UDPUnderlay(
                kind: "vxlan", local: Family.ipv4.address(1), port: 4789)
            let there = try UDPUnderlay(
                kind: "vxlan", local: Family.ipv4.address(2), port: 4789)
            let messages = [1024, 1025].map {
                TestMessage(
                    bytes: pattern(2000), to: Family.ipv4.address(2),
                    pieceLengths: [Int](repeating: 1, count: $0 - 1))
            }
            #expect(TestMessage.send(messages, by: here) == ["none", "egress-rejected"])
            #expect(TestDatagrams.receive(2000, from: there).count == 1)
        }
    }
}

@Suite(
    "A message that the kernel does not cut into segments", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct UnderlayFallbackTests {
    /// Random messages of random pieces, the same for the same seed.
    private func messages(_ seed: UInt64, _ family: Family) -> [TestMessage] {
        var random = SeededRandom(seed: seed)
        return (0..<20).map { _ in
            let segment = Int.random(in: 200...1450, using: &random)
            let count = Int.random(in: 1...OutgoingMessage.maximumSegmentCount, using: &random)
            let byteCount = min(
                segment * count - Int.random(in: 0..<segment, using: &random),
                OutgoingMessage.maximumByteCount)
            var pieceLengths: [Int] = []
            for _ in 0..<Int.random(in: 0...100, using: &random) {
                // Zero too: a header's piece may be empty.
                pieceLengths.append(Int.random(in: 0...1500, using: &random))
            }
            return TestMessage(
                bytes: random.bytes(byteCount), to: family.address(2), segment: segment,
                source: Int.random(in: 0..<2, using: &random), pieceLengths: pieceLengths)
        }
    }

    /// The datagrams that the messages stand for.
    private func datagrams(_ messages: [TestMessage]) -> [[UInt8]] {
        messages.flatMap { message in
            stride(from: 0, to: message.bytes.count, by: message.segment).map {
                [UInt8](message.bytes[$0..<min($0 + message.segment, message.bytes.count)])
            }
        }
    }

    private func check(
        _ family: Family, offloads: UDPOffloads = .ofKernel(),
        _ prepare: (UDPUnderlay) -> Void, _ verify: (UDPUnderlay) -> Void
    ) throws {
        try inUnderlayNamespace {
            let here = try UDPUnderlay(
                kind: "vxlan", local: family.address(1), port: 4789, offloads: offloads)
            let there = try UDPUnderlay(
                kind: "vxlan", local: family.address(2), port: 4789, offloads: [])
            prepare(here)
            for seed in 1...5 as ClosedRange<UInt64> {
                for message in messages(seed, family) {
                    // Alone: all together are more than an unprivileged socket's buffer holds.
                    #expect(TestMessage.send([message], by: here) == ["none"])
                    let expected = datagrams([message])
                    var received: [TestDatagrams] = []
                    while received.count < expected.count {
                        let more = TestDatagrams.receiveNow(from: there)
                        if more.isEmpty { break }
                        received += more
                    }
                    try #require(received.map(\.bytes) == expected, "seed \(seed)")
                }
            }
            verify(here)
        }
    }

    @Test("arrives as the same datagrams when it does", arguments: Family.allCases)
    func cutByKernel(family: Family) throws {
        try check(family) { _ in
        } _: {
            #expect($0.segments && $0.segmentationProblem == nil)
        }
    }

    @Test("is cut here when segmentation is turned off", arguments: Family.allCases)
    func turnedOff(family: Family) throws {
        try check(family, offloads: []) {
            #expect(!$0.segments)
        } _: {
            #expect($0.segmentationProblem?.contains("UDP_SEGMENT") == true)
        }
    }

    @Test("is cut into halves for a kernel that takes 64 segments", arguments: Family.allCases)
    func oldLimit(family: Family) throws {
        try check(family) {
            $0.sender.segmentLimit.store(64, ordering: .relaxed)
        } _: {
            #expect($0.segments)
        }
    }

    @Test("is cut here once the kernel has refused one, and for good", arguments: Family.allCases)
    func refused(family: Family) throws {
        try check(family) { underlay in
            // The kernel does not cut what has no checksum: EINVAL.
            for source in underlay.sources {
                let isSet =
                    family == .ipv4
                    ? source.set(SOL_SOCKET, SO_NO_CHECK, 1)
                    : source.set(Int32(IPPROTO_UDP), UDP_NO_CHECK6_TX, 1)
                #expect(isSet)
            }
            #expect(underlay.segments)
        } _: {
            #expect(!$0.segments)
            #expect($0.segmentationProblem?.contains("Invalid argument") == true)
        }
    }

    @Test("is not blamed on segmentation when the source address is missing")
    func missingAddress() throws {
        try inUnderlayNamespace {
            let here = try UDPUnderlay(
                kind: "vxlan", local: Family.ipv4.address(9), port: 4789)
            for count in [10, 100] {
                let message = TestMessage(
                    bytes: pattern(count * 100), to: Family.ipv4.address(2), segment: 100)
                #expect(TestMessage.send([message], by: here) == ["tunnel-down"])
            }
            #expect(here.segments)
        }
    }
}

extension TestDatagrams {
    /// One batch; waits for it up to 2 s.
    static func receiveNow(from underlay: some Underlay) -> [TestDatagrams] {
        var interest = pollfd(
            fd: underlay.pollDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
        poll(&interest, 1, 2000)
        var batch = DatagramBatch()
        _ = underlay.receive(into: &batch)
        return batch.take()
    }
}
