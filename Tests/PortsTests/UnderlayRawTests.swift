import CLinux
import Glibc
import TestSupport
import Testing

@testable import Dataplane
@testable import Ports

@Suite(
    "The raw socket of GRE, on the real kernel", .serialized,
    .enabled(if: canMakeNamespaces, "\(namespacesNeeded)"))
struct UnderlayRawTests {
    /// A GRE header with a key, before Ethernet (RFC 2890 §2.1).
    private static let header: [UInt8] = [0x20, 0, 0x65, 0x58, 0, 0, 0x27, 0x1A]

    private func withPair(
        _ family: Family, _ body: (RawUnderlay, RawUnderlay) throws -> Void
    ) throws {
        try inUnderlayNamespace {
            try ip("link set lo mtu 1500")
            try body(
                RawUnderlay(kind: "gre", local: family.address(1)),
                RawUnderlay(kind: "gre", local: family.address(2)))
        }
    }

    @Test("carries packets without their IP headers, both ways", arguments: Family.allCases)
    func roundTrip(family: Family) throws {
        try withPair(family) { here, there in
            #expect(!here.segments && here.sourceCount == 1)
            // More than the 64 of a call; one of them is a header only.
            let sent = (0..<100).map { Self.header + pattern($0 * 14, seed: UInt64($0)) }
            for (from, to, host) in [(here, there, UInt8(1)), (there, here, 2)] {
                let messages = sent.map {
                    TestMessage(bytes: $0, to: family.address(3 - host), pieceLengths: [8])
                }
                #expect(TestMessage.send(messages, by: from).allSatisfy { $0 == "none" })
                let received = TestDatagrams.receive(sent.reduce(0) { $0 + $1.count }, from: to)
                #expect(received.map(\.bytes) == sent)
                #expect(received.map(\.segment) == sent.map(\.count))
                #expect(received.allSatisfy { $0.source == family.address(host) })
            }
        }
    }

    @Test("takes off IPv4 options too")
    func options() throws {
        try withPair(.ipv4) { here, there in
            let stranger = try strangerSocket(
                Family.ipv4.address(1), type: SOCK_RAW, IPPROTO_GRE)
            defer { close(stranger) }
            var options: [UInt8] = [1, 1, 1, 0]  // three times nothing, and the end
            #expect(setsockopt(stranger, Int32(IPPROTO_IP), IP_OPTIONS, &options, 4) == 0)
            let bytes = Self.header + pattern(100)
            let sent = Family.ipv4.address(2).withSocketAddress(port: 0) {
                sendto(stranger, bytes, bytes.count, 0, $0, $1)
            }
            #expect(sent == bytes.count)
            #expect(TestDatagrams.receive(bytes.count, from: there).map(\.bytes) == [bytes])
            _ = here
        }
    }

    @Test("does not fragment, and tells one message's failure only", arguments: Family.allCases)
    func outcomes(family: Family) throws {
        try withPair(family) { here, there in
            let fits = 1500 - family.headerByteCount + 8
            let rows: [(TestMessage, String)] = [
                (TestMessage(bytes: pattern(fits), to: family.address(2)), "none"),
                (TestMessage(bytes: pattern(fits + 1), to: family.address(2)), "overlay-mtu"),
                (TestMessage(bytes: pattern(100), to: family.unreachable), "tunnel-down"),
                (TestMessage(bytes: pattern(101), to: family.address(2)), "none"),
                // The kernel is not asked to cut: it is done here.
                (
                    TestMessage(bytes: pattern(3000), to: family.address(2), segment: 1000),
                    "none"
                ),
            ]
            #expect(TestMessage.send(rows.map(\.0), by: here) == rows.map(\.1))
            #expect(here.pathMTUErrors == 1)
            let received = TestDatagrams.receive(fits + 101 + 3000, from: there)
            #expect(received.map(\.bytes.count) == [fits, 101, 1000, 1000, 1000])
        }
    }

    @Test("sets DF")
    func doNotFragment() throws {
        try withPair(.ipv4) { here, there in
            let sniffer = try strangerSocket(
                Family.ipv4.address(2), type: SOCK_RAW, IPPROTO_GRE)
            defer { close(sniffer) }
            let message = TestMessage(bytes: Self.header, to: Family.ipv4.address(2))
            #expect(TestMessage.send([message], by: here) == ["none"])
            var packet = [UInt8](repeating: 0, count: 100)
            #expect(recv(sniffer, &packet, packet.count, 0) == 28)
            #expect(packet[6] & 0xE0 == 0x40)
            _ = there
        }
    }

    @Test("can be opened before the address is there", arguments: Family.allCases)
    func addressComesLater(family: Family) throws {
        try withPair(family) { _, there in
            let early = try RawUnderlay(kind: "gre", local: family.address(9))
            try addAddress(family.address(9))
            let message = TestMessage(bytes: Self.header, to: family.address(2))
            #expect(TestMessage.send([message], by: early) == ["none"])
            #expect(TestDatagrams.receive(8, from: there).map(\.source) == [family.address(9)])
            let back = TestMessage(bytes: Self.header, to: family.address(9))
            #expect(TestMessage.send([back], by: there) == ["none"])
            #expect(TestDatagrams.receive(8, from: early).map(\.source) == [family.address(2)])
        }
    }

    @Test("says what it lacks without CAP_NET_RAW")
    func forbidden() {
        #expect(
            PortError.rawSocketForbidden(kind: "gre").description
                == "underlay gre: it needs CAP_NET_RAW in its network namespace for raw sockets; "
                + "run as root, or use --sandbox")
    }
}
