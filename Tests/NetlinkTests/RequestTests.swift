import SystemPackage
import Testing
import Wire

@testable import Netlink

/// The bytes of each request, on a little-endian machine, as the kernel's headers lay them out.
@Suite("A request has the bytes that rtnetlink(7) prescribes")
struct RequestTests {
    private let acknowledgement = hex(
        """
        24 00 00 00  02 00  00 01  // nlmsghdr: 36 bytes, NLMSG_ERROR, NLM_F_CAPPED
        01 00 00 00  00 00 00 00   //   sequence 1, port 0
        00 00 00 00                // nlmsgerr: no error
        20 00 00 00  13 00  05 00  //   of the request
        01 00 00 00  00 00 00 00
        """)

    /// Runs one operation against a kernel that agrees; returns the one request it sent.
    private func sent(_ operation: (NetlinkSocket) throws -> Void) throws -> [UInt8] {
        let transport = RecordingTransport(answers: [.success(acknowledgement)])
        try operation(NetlinkSocket(transport: transport))
        #expect(transport.sent.count == 1)
        return transport.sent.first ?? []
    }

    private func expect(
        _ bytes: [UInt8], _ golden: String, _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(dump(bytes) == dump(hex(golden)), sourceLocation: location)
    }

    @Test("Looking a device up by its name")
    func getByName() throws {
        let bytes = try sent { socket in
            let link = try socket.link(.name("web-1"))
            #expect(link == nil, "an acknowledgement without a link is no link")
        }
        expect(
            bytes,
            """
            34 00 00 00  12 00  05 00  // nlmsghdr: 52 bytes, RTM_GETLINK, REQUEST|ACK
            01 00 00 00  00 00 00 00   //   sequence 1, port 0
            00 00  00 00  00 00 00 00  // ifinfomsg: AF_UNSPEC, type 0, index 0
            00 00 00 00  00 00 00 00   //   flags, change
            08 00  1d 00  08 00 00 00  // IFLA_EXT_MASK: RTEXT_FILTER_SKIP_STATS
            0a 00  03 00  77 65 62 2d 31 00 00 00  // IFLA_IFNAME "web-1", padded
            """)
    }

    @Test("Looking a device up by an alternative name")
    func getByAlternativeName() throws {
        expect(
            try sent { _ = try $0.link(.alternativeName("heddle-a")) },
            """
            38 00 00 00  12 00  05 00  01 00 00 00  00 00 00 00  // RTM_GETLINK, REQUEST|ACK
            00 00  00 00  00 00 00 00  00 00 00 00  00 00 00 00  // ifinfomsg
            08 00  1d 00  08 00 00 00  // IFLA_EXT_MASK
            0d 00  35 00  68 65 64 64 6c 65 2d 61 00 00 00 00  // IFLA_ALT_IFNAME, padded
            """)
    }

    @Test("Listing devices")
    func list() throws {
        let transport = RecordingTransport(answers: [.success(hex(Golden.done))])
        #expect(try NetlinkSocket(transport: transport).links() == [])
        expect(
            transport.sent[0],
            """
            28 00 00 00  12 00  01 03  01 00 00 00  00 00 00 00  // RTM_GETLINK, REQUEST|DUMP
            00 00  00 00  00 00 00 00  00 00 00 00  00 00 00 00  // ifinfomsg
            08 00  1d 00  08 00 00 00  // IFLA_EXT_MASK
            """)
    }

    @Test("Making a veth pair with one end elsewhere")
    func createVeth() throws {
        let bytes = try sent {
            try $0.createVeth(
                VethEnd("va", mtu: 9000),
                peer: VethEnd(
                    "vb", namespace: FileDescriptor(rawValue: 7),
                    address: MACAddress(rawValue: 0x0200_0000_0001)))
        }
        expect(
            bytes,
            """
            70 00 00 00  10 00  05 06  01 00 00 00  00 00 00 00  // NEWLINK, REQUEST|ACK|EXCL|CREATE
            00 00  00 00  00 00 00 00  00 00 00 00  00 00 00 00  // ifinfomsg
            07 00  03 00  76 61 00 00  // IFLA_IFNAME "va"
            08 00  04 00  28 23 00 00  // IFLA_MTU 9000
            40 00  12 80               // IFLA_LINKINFO, nested
              08 00  01 00  76 65 74 68  // IFLA_INFO_KIND "veth"
              34 00  02 80               // IFLA_INFO_DATA, nested
                30 00  01 80             // VETH_INFO_PEER, nested
                  00 00  00 00  00 00 00 00  00 00 00 00  00 00 00 00  // ifinfomsg
                  07 00  03 00  76 62 00 00  // IFLA_IFNAME "vb"
                  0a 00  01 00  02 00 00 00 00 01 00 00  // IFLA_ADDRESS, padded
                  08 00  1c 00  07 00 00 00  // IFLA_NET_NS_FD 7
            """)
    }

    @Test("Renaming, MTU, address and alias are one attribute of RTM_SETLINK each")
    func setAttributes() throws {
        let rows: [((NetlinkSocket) throws -> Void, String, String)] = [
            ({ try $0.rename(3, to: "b") }, "28", "06 00  03 00  62 00 00 00"),  // IFLA_IFNAME
            ({ try $0.setMTU(3, to: 1400) }, "28", "08 00  04 00  78 05 00 00"),  // IFLA_MTU
            (
                { try $0.setAddress(3, to: MACAddress(rawValue: 0x0a)) }, "2c",
                "0a 00  01 00  00 00 00 00 00 0a 00 00"  // IFLA_ADDRESS
            ),
            ({ try $0.setAlias(3, to: "hi") }, "28", "06 00  14 00  68 69 00 00"),  // IFLA_IFALIAS
            ({ try $0.setAlias(3, to: "") }, "24", "04 00  14 00"),  // no payload: removed
            (
                { try $0.move(3, toNamespace: FileDescriptor(rawValue: 9)) }, "28",
                "08 00  1c 00  09 00 00 00"  // IFLA_NET_NS_FD
            ),
        ]
        for (operation, byteCount, attribute) in rows {
            expect(
                try sent(operation),
                """
                \(byteCount) 00 00 00  13 00  05 00  01 00 00 00  00 00 00 00  // RTM_SETLINK
                00 00  00 00  03 00 00 00  00 00 00 00  00 00 00 00  // ifinfomsg: index 3
                \(attribute)
                """)
        }
    }

    @Test("Up and down set one flag and mask the others")
    func upAndDown() throws {
        for (isUp, flags) in [(true, "01"), (false, "00")] {
            expect(
                try sent { try $0.setUp(3, isUp) },
                """
                20 00 00 00  13 00  05 00  01 00 00 00  00 00 00 00  // RTM_SETLINK
                00 00  00 00  03 00 00 00  // ifinfomsg: index 3
                \(flags) 00 00 00  01 00 00 00   // flags, change: IFF_UP only
                """)
        }
    }

    @Test("Alternative names are added and removed as properties")
    func alternativeNames() throws {
        let body = """
            00 00  00 00  03 00 00 00  00 00 00 00  00 00 00 00  // ifinfomsg: index 3
            0c 00  34 80               // IFLA_PROP_LIST, nested
              06 00  35 00  78 00 00 00  // IFLA_ALT_IFNAME "x"
            """
        expect(
            try sent { try $0.addAlternativeName("x", to: 3) },
            "2c 00 00 00  6c 00  05 0e  01 00 00 00  00 00 00 00  // NEWLINKPROP\n" + body)
        expect(
            try sent { try $0.removeAlternativeName("x", from: 3) },
            "2c 00 00 00  6d 00  05 00  01 00 00 00  00 00 00 00  // DELLINKPROP\n" + body)
    }

    @Test("Deleting a device")
    func delete() throws {
        expect(
            try sent { try $0.deleteLink(3) },
            """
            20 00 00 00  11 00  05 00  01 00 00 00  00 00 00 00  // RTM_DELLINK
            00 00  00 00  03 00 00 00  00 00 00 00  00 00 00 00  // ifinfomsg: index 3
            """)
    }

    @Test("An IPv4 address comes with its broadcast address")
    func addIPv4() throws {
        let address = try #require(InterfaceAddress("10.10.0.1/24"))
        expect(
            try sent { try $0.addAddress(address, to: 3) },
            """
            30 00 00 00  14 00  05 06  01 00 00 00  00 00 00 00  // NEWADDR, REQUEST|ACK|EXCL|CREATE
            02  18  00  00  03 00 00 00  // ifaddrmsg: AF_INET, /24, flags, universe, index 3
            08 00  02 00  0a 0a 00 01  // IFA_LOCAL
            08 00  01 00  0a 0a 00 01  // IFA_ADDRESS
            08 00  04 00  0a 0a 00 ff  // IFA_BROADCAST
            """)
    }

    @Test("An IPv6 address skips duplicate address detection unless asked for")
    func addIPv6() throws {
        let address = try #require(InterfaceAddress("2001:db8::1/64"))
        let octets = "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01"
        expect(
            try sent { try $0.addAddress(address, to: 3) },
            """
            48 00 00 00  14 00  05 06  01 00 00 00  00 00 00 00  // RTM_NEWADDR
            0a  40  00  00  03 00 00 00  // ifaddrmsg: AF_INET6, /64
            08 00  08 00  02 00 00 00  // IFA_FLAGS: IFA_F_NODAD
            14 00  02 00  \(octets)  // IFA_LOCAL
            14 00  01 00  \(octets)  // IFA_ADDRESS
            """)
        expect(
            try sent { try $0.addAddress(address, to: 3, detectsDuplicates: true) },
            """
            40 00 00 00  14 00  05 06  01 00 00 00  00 00 00 00  // RTM_NEWADDR
            0a  40  00  00  03 00 00 00  // ifaddrmsg
            14 00  02 00  \(octets)  // IFA_LOCAL
            14 00  01 00  \(octets)  // IFA_ADDRESS
            """)
    }

    @Test("Removing an address")
    func removeAddress() throws {
        let address = try #require(InterfaceAddress("127.0.0.2/32"))
        expect(
            try sent { try $0.removeAddress(address, from: 1) },
            """
            20 00 00 00  15 00  05 00  01 00 00 00  00 00 00 00  // RTM_DELADDR
            02  20  00  fe  01 00 00 00  // ifaddrmsg: AF_INET, /32, scope host, index 1
            08 00  02 00  7f 00 00 02  // IFA_LOCAL
            """)
    }

    @Test("A request that does not fit is refused before it is sent")
    func overlong() {
        let transport = RecordingTransport()
        let socket = NetlinkSocket(transport: transport)
        let name = String(repeating: "x", count: 10_000)
        #expect {
            try socket.addAlternativeName(name, to: 3)
        } throws: {
            ($0 as? NetlinkError)?.errno == .messageTooLong
        }
        #expect(transport.sent.isEmpty)
    }
}
