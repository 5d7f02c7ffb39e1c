import CLinux
import Glibc
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite(
    "The UDP sockets of an encapsulation, on the real kernel", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct UnderlayUDPTests {
    /// Two hosts in one namespace.
    private func withPair(
        _ family: Family, receiver offloads: UDPOffloads = .ofKernel(),
        bufferByteCount: Int = DatagramBatch.bufferByteCount,
        _ body: (UDPUnderlay, UDPUnderlay) throws -> Void
    ) throws {
        try inUnderlayNamespace {
            let here = try UDPUnderlay(kind: "vxlan", local: family.address(1), port: 4789)
            let there = try UDPUnderlay(
                kind: "vxlan", local: family.address(2), port: 4789, offloads: offloads,
                bufferByteCount: bufferByteCount)
            try body(here, there)
        }
    }

    @Test("carry datagrams of any length both ways", arguments: Family.allCases)
    func roundTrip(family: Family) throws {
        try withPair(family) { here, there in
            let sent = [0, 1, 8, 1450, 9000, 65_000].map { pattern($0, seed: UInt64($0)) }
            for (from, to, host) in [(here, there, UInt8(1)), (there, here, 2)] {
                let messages = sent.map {
                    TestMessage(
                        bytes: $0, to: family.address(3 - host), pieceLengths: [$0.count / 2])
                }
                #expect(TestMessage.send(messages, by: from) == sent.map { _ in "none" })
                let received = TestDatagrams.receive(sent.reduce(0) { $0 + $1.count }, from: to)
                #expect(received.map(\.bytes) == sent)
                #expect(received.map(\.segment) == sent.map(\.count))
                #expect(received.allSatisfy { $0.source == family.address(host) })
                #expect(received.allSatisfy { !$0.isTruncated })
            }
        }
    }

    @Test("carry 45 datagrams as one message where the kernel can", arguments: Family.allCases)
    func coalesced(family: Family) throws {
        try withPair(family) { here, there in
            #expect(here.segments && there.coalesces)
            let bytes = pattern(45 * 1450 - 100)
            let message = TestMessage(
                bytes: bytes, to: family.address(2), segment: 1450, source: 3,
                pieceLengths: (0..<89).map { $0.isMultiple(of: 2) ? 50 : 1400 })
            #expect(TestMessage.send([message], by: here) == ["none"])
            let received = TestDatagrams.receive(bytes.count, from: there)
            #expect(
                received == [
                    TestDatagrams(
                        bytes: bytes, segment: 1450, source: family.address(1),
                        isTruncated: false)
                ])
        }
    }

    @Test("receive the 45 one by one without UDP_GRO", arguments: Family.allCases)
    func notCoalesced(family: Family) throws {
        try withPair(family, receiver: []) { here, there in
            #expect(!there.coalesces)
            let bytes = pattern(45 * 1450)
            let message = TestMessage(bytes: bytes, to: family.address(2), segment: 1450)
            #expect(TestMessage.send([message], by: here) == ["none"])
            let received = TestDatagrams.receive(bytes.count, from: there)
            #expect(received.map(\.segment) == [Int](repeating: 1450, count: 45))
            #expect(received.flatMap(\.bytes) == bytes)
        }
    }

    @Test("receive more than a batch, in order")
    func batches() throws {
        try withPair(.ipv4) { here, there in
            let messages = (0..<150).map {
                TestMessage(
                    bytes: pattern(60 + $0, seed: UInt64($0)), to: Family.ipv4.address(2),
                    source: 5)
            }
            #expect(TestMessage.send(messages, by: here).allSatisfy { $0 == "none" })
            var batch = DatagramBatch()
            #expect(there.receive(into: &batch) == .more)
            #expect(batch.count == 64)
            let rest = TestDatagrams.receive(1, from: there)
            #expect(rest.map(\.bytes) == messages[64...].map(\.bytes))
        }
    }

    @Test("say of a datagram that it was cut off")
    func truncated() throws {
        try withPair(.ipv4, bufferByteCount: 100) { here, there in
            let sent = [100, 101].map {
                TestMessage(bytes: pattern($0), to: Family.ipv4.address(2))
            }
            #expect(TestMessage.send(sent, by: here) == ["none", "none"])
            let received = TestDatagrams.receive(200, from: there)
            #expect(received.map(\.isTruncated) == [false, true])
            #expect(received.map(\.bytes.count) == [100, 100])
        }
    }

    @Test("send from sixteen ports of the dynamic range")
    func sourcePorts() throws {
        try withPair(.ipv4) { here, there in
            let ports = here.sources.map { boundPort($0.descriptor) }
            #expect(Set(ports).count == 16)
            #expect(ports.allSatisfy { UDPUnderlay.sourcePorts.contains($0) })
            // A raw socket sees the headers: what is sent from source N has its port.
            let sniffer = try strangerSocket(Family.ipv4.address(2), type: SOCK_RAW, IPPROTO_UDP)
            defer { close(sniffer) }
            for source in 0..<16 {
                let message = TestMessage(
                    bytes: [1], to: Family.ipv4.address(2), source: source)
                #expect(TestMessage.send([message], by: here) == ["none"])
                var packet = [UInt8](repeating: 0, count: 100)
                #expect(recv(sniffer, &packet, packet.count, 0) == 29)
                #expect(UInt16(packet[20]) << 8 | UInt16(packet[21]) == ports[source])
            }
        }
    }

    @Test("forbid fragments: DF is set, of each segment")
    func doNotFragment() throws {
        try withPair(.ipv4) { here, there in
            let sniffer = try strangerSocket(Family.ipv4.address(2), type: SOCK_RAW, IPPROTO_UDP)
            defer { close(sniffer) }
            let messages = [
                TestMessage(bytes: pattern(100), to: Family.ipv4.address(2)),
                TestMessage(bytes: pattern(3000), to: Family.ipv4.address(2), segment: 1000),
            ]
            #expect(TestMessage.send(messages, by: here) == ["none", "none"])
            for _ in 0..<2 {
                var packet = [UInt8](repeating: 0, count: 4000)
                #expect(recv(sniffer, &packet, packet.count, 0) > 28)
                #expect(packet[6] & 0xE0 == 0x40)
            }
        }
    }

    @Test("keep nothing that a stranger sends to a source port", arguments: Family.allCases)
    func strangers(family: Family) throws {
        try withPair(family) { here, there in
            let stranger = try strangerSocket(family.address(2))
            defer { close(stranger) }
            let bytes = pattern(1000)
            for source in here.sources {
                let port = boundPort(source.descriptor)
                for _ in 0..<10 {
                    let sent = family.address(1).withSocketAddress(port: port) {
                        sendto(stranger, bytes, bytes.count, 0, $0, $1)
                    }
                    #expect(sent == bytes.count)
                }
                var byte: UInt8 = 0
                #expect(recv(source.descriptor, &byte, 1, Int32(MSG_DONTWAIT)) == -1)
                #expect(errno == EAGAIN)
            }
        }
    }

    @Test("accept a zero checksum over IPv6 (RFC 6935)")
    func zeroChecksum() throws {
        try withPair(.ipv6) { _, there in
            let stranger = try strangerSocket(Family.ipv6.address(1))
            defer { close(stranger) }
            var one: Int32 = 1
            #expect(setsockopt(stranger, Int32(IPPROTO_UDP), UDP_NO_CHECK6_TX, &one, 4) == 0)
            let bytes = pattern(1000)
            let sent = Family.ipv6.address(2).withSocketAddress(port: 4789) {
                sendto(stranger, bytes, bytes.count, 0, $0, $1)
            }
            #expect(sent == bytes.count)
            #expect(TestDatagrams.receive(bytes.count, from: there).map(\.bytes) == [bytes])
        }
    }

    @Test("name what holds a taken port", arguments: Family.allCases)
    func portTaken(family: Family) throws {
        try withPair(family) { here, _ in
            let error = #expect(throws: PortError.self) {
                try UDPUnderlay(kind: "vxlan", local: family.address(1), port: 4789)
            }
            let sentence = try #require(error).description
            #expect(sentence.contains("UDP port 4789 of "))
            #expect(sentence.contains("is taken"))
            #expect(sentence.contains("ip -d link show type vxlan"))
            #expect(sentence.contains("overlay.port"))
            _ = here
        }
    }

    @Test("can be opened before the address is there", arguments: Family.allCases)
    func addressComesLater(family: Family) throws {
        try inUnderlayNamespace {
            let early = try UDPUnderlay(kind: "geneve", local: family.address(9), port: 6081)
            let there = try UDPUnderlay(kind: "geneve", local: family.address(2), port: 6081)
            let message = TestMessage(bytes: pattern(100), to: family.address(2))
            if family == .ipv4 {
                #expect(TestMessage.send([message], by: early) == ["tunnel-down"])
            }
            try addAddress(family.address(9))
            #expect(TestMessage.send([message], by: early) == ["none"])
            #expect(
                TestDatagrams.receive(100, from: there).map(\.source) == [family.address(9)])
        }
    }
}
