import CLinux
import SystemPackage
import Testing
import Wire

@testable import Netlink

private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

@Suite("A route is asked for and read as rtnetlink(7) prescribes")
struct RouteTests {
    private static let acknowledgement = """
        14 00 00 00  02 00  00 01  01 00 00 00  00 00 00 00  // NLMSG_ERROR, NLM_F_CAPPED
        00 00 00 00                // no error
        """

    private func refusal(_ errno: Errno) -> [UInt8] {
        hex("14 00 00 00  02 00  00 01  01 00 00 00  00 00 00 00")
            + [UInt8(truncatingIfNeeded: -errno.rawValue), 0xff, 0xff, 0xff]
    }

    private func socket(_ answers: [UInt8]...) -> (NetlinkSocket, RecordingTransport) {
        let transport = RecordingTransport(answers: answers.map { .success($0) })
        return (NetlinkSocket(transport: transport), transport)
    }

    @Test("A route through a gateway, with its MTU")
    func gateway() throws {
        let (socket, transport) = socket(
            hex(
                """
                50 00 00 00  18 00  00 00  01 00 00 00  00 00 00 00  // RTM_NEWROUTE
                02  20  20  00  fe  00  00  01  00 02 00 00  // rtmsg: AF_INET, /32, unicast
                08 00  01 00  0a 09 00 01  // RTA_DST 10.9.0.1
                08 00  04 00  03 00 00 00  // RTA_OIF 3
                08 00  05 00  c0 00 02 09  // RTA_GATEWAY 192.0.2.9
                08 00  07 00  c0 00 02 01  // RTA_PREFSRC 192.0.2.1
                0c 00  08 80               // RTA_METRICS, nested
                  08 00  02 00  14 05 00 00  // RTAX_MTU 1300
                08 00  0f 00  fe 00 00 00  // RTA_TABLE main
                """), hex(Self.acknowledgement))
        let found = try socket.route(to: address("10.9.0.1"), from: address("192.0.2.1"))
        #expect(
            try found
                == .route(
                    Route(
                        device: 3, gateway: address("192.0.2.9"), source: address("192.0.2.1"),
                        mtu: 1300, isLocal: false)))
        #expect(
            transport.sent.map(dump)
                == [
                    dump(
                        hex(
                            """
                            2c 00 00 00  1a 00  05 00  01 00 00 00  00 00 00 00  // GETROUTE
                            02  20  20  00  00  00  00  00  00 00 00 00  // rtmsg: /32 from /32
                            08 00  01 00  0a 09 00 01  // RTA_DST
                            08 00  02 00  c0 00 02 01  // RTA_SRC
                            """))
                ])
    }

    @Test("An IPv4 route through an IPv6 gateway")
    func via() throws {
        let (socket, _) = socket(
            hex(
                """
                3c 00 00 00  18 00  00 00  01 00 00 00  00 00 00 00  // RTM_NEWROUTE
                02  20  00  00  fe  00  00  01  00 02 00 00  // rtmsg
                08 00  04 00  03 00 00 00  // RTA_OIF 3
                16 00  12 00  0a 00        // RTA_VIA: AF_INET6
                  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 09
                00 00
                """), hex(Self.acknowledgement))
        #expect(
            try socket.route(to: address("10.8.0.1"))
                == .route(
                    Route(
                        device: 3, gateway: address("2001:db8::9"), source: nil, mtu: nil,
                        isLocal: false)))
    }

    @Test("A refusal of the kernel is an answer where it says what the routes say")
    func refusals() throws {
        let rows: [(Errno, RouteLookup)] = [
            (.networkUnreachable, .none),
            (.noRouteToHost, .unreachable),
            (.permissionDenied, .prohibited),
            (.invalidArgument, .blackhole),
        ]
        for (errno, expected) in rows {
            #expect(try socket(refusal(errno)).0.route(to: address("10.0.0.1")) == expected)
        }
        #expect {
            try socket(refusal(.noMemory)).0.route(to: address("10.0.0.1"))
        } throws: {
            "\($0)".hasPrefix("cannot look up the route to 10.0.0.1: ")
        }
    }

    @Test("An answer without a route or without a device is malformed")
    func malformed() throws {
        for answer in [
            [],
            hex(
                "1c 00 00 00 18 00 00 00 01 00 00 00 00 00 00 00 02 20 00 00 fe 00 00 01 0000 0000"),
        ] {
            #expect(throws: NetlinkError.self) {
                try socket(answer, hex(Self.acknowledgement)).0.route(to: address("10.0.0.1"))
            }
        }
    }

    @Test("A neighbour's state and address")
    func neighbour() throws {
        let (socket, transport) = socket(
            hex(
                """
                30 00 00 00  1c 00  00 00  01 00 00 00  00 00 00 00  // RTM_NEWNEIGH
                02 00 00 00  03 00 00 00  04 00  00  01  // ndmsg: AF_INET, device 3, STALE
                08 00  01 00  c0 00 02 02  // NDA_DST
                0a 00  02 00  02 00 00 00 00 02 00 00  // NDA_LLADDR
                """), hex(Self.acknowledgement))
        let found = try socket.neighbour(address("192.0.2.2"), device: 3)
        #expect(found == Neighbour(state: .stale, address: MACAddress("02:00:00:00:00:02")))
        #expect(
            transport.sent.map(dump)
                == [
                    dump(
                        hex(
                            """
                            24 00 00 00  1e 00  05 00  01 00 00 00  00 00 00 00  // GETNEIGH
                            02 00 00 00  03 00 00 00  00 00  00  00  // ndmsg: AF_INET, device 3
                            08 00  01 00  c0 00 02 02  // NDA_DST
                            """))
                ])
    }

    @Test("An address's device and whether it may be used yet")
    func addresses() throws {
        func answer(_ flags: String) -> [UInt8] {
            hex(
                """
                34 00 00 00  14 00  02 00  01 00 00 00  00 00 00 00  // RTM_NEWADDR, MULTI
                0a  40  80  00  03 00 00 00  // ifaddrmsg: AF_INET6, /64, device 3
                14 00  01 00  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
                08 00  08 00  \(flags)  // IFA_FLAGS
                """)
        }
        let rows: [(String, isTentative: Bool, isDuplicate: Bool)] = [
            ("80 00 00 00", false, false),  // permanent
            ("c0 00 00 00", true, false),  // tentative
            ("44 00 00 00", false, false),  // tentative, but optimistic
            ("48 00 00 00", true, true),  // duplicate detection failed
        ]
        for (flags, isTentative, isDuplicate) in rows {
            let (socket, _) = socket(answer(flags), hex(Golden.done))
            let found = try #require(try socket.addresses().first)
            #expect(found.index == 3)
            #expect("\(found.address)" == "2001:db8::1/64")
            #expect(found.isTentative == isTentative)
            #expect(found.isDuplicate == isDuplicate)
        }
    }
}

@Suite("Underlay events")
struct UnderlayEventTests {
    private func changes(_ answers: [Result<[UInt8], Errno>]) throws -> UnderlayChanges {
        try UnderlayEvents(
            transport: RecordingTransport(answers: answers),
            descriptor: FileDescriptor(rawValue: -1)
        ).drain()
    }

    /// A message of that type whose payload begins with that family.
    private func message(_ type: UInt8, family: Int32) -> [UInt8] {
        hex("20 00 00 00  00 00  00 00  00 00 00 00  00 00 00 00").enumerated().map {
            $0.offset == 4 ? type : $0.element
        } + [UInt8(family)] + [UInt8](repeating: 0, count: 15)
    }

    @Test("are told by their kind, and what is no business of IP's is passed over")
    func kinds() throws {
        let rows: [(Int, Int32, UnderlayChanges)] = [
            (RTM_NEWLINK, AF_UNSPEC, .links), (RTM_DELLINK, AF_UNSPEC, .links),
            (RTM_NEWLINK, AF_BRIDGE, []),  // a bridge's view of its port
            (RTM_NEWADDR, AF_INET, .addresses), (RTM_DELADDR, AF_INET6, .addresses),
            (RTM_NEWROUTE, AF_INET, .routes), (RTM_DELROUTE, AF_INET6, .routes),
            (RTM_NEWRULE, AF_INET, .routes), (RTM_DELNEXTHOP, AF_UNSPEC, .routes),
            (RTM_NEWNEIGH, AF_INET, .neighbours), (RTM_DELNEIGH, AF_INET6, .neighbours),
            (RTM_NEWNEIGH, AF_BRIDGE, []),  // a bridge learned an address
        ]
        for (type, family, expected) in rows {
            #expect(
                try changes([.success(message(UInt8(type), family: family))]) == expected,
                "type \(type), family \(family)")
        }
    }

    @Test("fold into one value, an overrun included; none is the empty value")
    func folding() throws {
        #expect(
            try changes([
                .success(
                    message(UInt8(RTM_NEWADDR), family: AF_INET)
                        + message(UInt8(RTM_NEWROUTE), family: AF_INET)),
                .failure(.noBufferSpace),
                .success(message(UInt8(RTM_NEWLINK), family: AF_UNSPEC)),
            ]) == [.addresses, .routes, .overrun, .links])
        #expect(try changes([]) == [])
        #expect(throws: NetlinkError.self) { try changes([.failure(.badFileDescriptor)]) }
    }
}
