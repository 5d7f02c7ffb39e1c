import Foundation
import SystemPackage
import Testing
import Wire

@testable import Netlink

/// Messages as the kernel sends them.
enum Golden {
    static let done = """
        14 00 00 00  03 00  02 00  01 00 00 00  00 00 00 00  // NLMSG_DONE, MULTI, sequence 1
        00 00 00 00                // no error
        """
    /// The attributes of a veth end: 60 bytes of them.
    private static let body = """
        00 00  01 00  05 00 00 00  // ifinfomsg: AF_UNSPEC, ARPHRD_ETHER, index 5
        43 10 01 00  00 00 00 00   //   UP|BROADCAST|RUNNING|MULTICAST|LOWER_UP
        07 00  03 00  76 61 00 00  // IFLA_IFNAME "va"
        08 00  04 00  dc 05 00 00  // IFLA_MTU 1500
        0a 00  01 00  02 00 00 00 00 01 00 00  // IFLA_ADDRESS 02:00:00:00:00:01
        08 00  05 00  04 00 00 00  // IFLA_LINK 4
        06 00  14 00  68 69 00 00  // IFLA_IFALIAS "hi", without NUL
        0c 00  12 80               // IFLA_LINKINFO, nested
          08 00  01 00  76 65 74 68  // IFLA_INFO_KIND "veth", without NUL
        14 00  34 80               // IFLA_PROP_LIST, nested
          06 00  35 00  78 00 00 00  // IFLA_ALT_IFNAME "x"
          06 00  35 00  79 00 00 00  // IFLA_ALT_IFNAME "y"
        """
    static let link = """
        6c 00 00 00  10 00  02 00  01 00 00 00  00 00 00 00  // RTM_NEWLINK, MULTI, sequence 1
        \(body)
        """
    static let interruptedLink = """
        6c 00 00 00  10 00  12 00  01 00 00 00  00 00 00 00  // MULTI|DUMP_INTR
        \(body)
        """
    static let deletedLink = """
        6c 00 00 00  11 00  00 00  00 00 00 00  00 00 00 00  // RTM_DELLINK
        \(body)
        """
}

@Suite("An answer is read as the kernel meant it")
struct AnswerTests {
    private func socket(_ answers: String...) -> NetlinkSocket {
        NetlinkSocket(
            transport: RecordingTransport(answers: answers.map { .success(hex($0)) }))
    }

    @Test("A link's attributes, nested ones included")
    func link() throws {
        let links = try socket(Golden.link, Golden.done).links()
        let link = try #require(links.first)
        #expect(links.count == 1)
        #expect(link.index == 5)
        #expect(link.name == "va")
        #expect(link.mtu == 1500)
        #expect(link.address == MACAddress(rawValue: 0x0200_0000_0001))
        #expect(link.lower == 4)
        #expect(link.alias == "hi")
        #expect(link.kind == "veth")
        #expect(link.alternativeNames == ["x", "y"])
        #expect(link.flags == [.up, .broadcast, .running, .multicast, .lowerUp])
        #expect(link.isNamed("y") && link.isNamed("va") && !link.isNamed("v"))
    }

    @Test("Left-overs of another conversation are skipped")
    func staleSequence() throws {
        let stale = Golden.link.replacingOccurrences(of: "02 00  01 00", with: "02 00  63 00")
        #expect(try socket(stale, Golden.link, Golden.done).links().count == 1)
    }

    @Test("An interrupted listing is asked for again")
    func interrupted() throws {
        let second = Golden.link.replacingOccurrences(of: "02 00  01 00", with: "02 00  02 00")
        let end = Golden.done.replacingOccurrences(of: "02 00  01 00", with: "02 00  02 00")
        let socket = socket(Golden.interruptedLink, Golden.done, second, end)
        #expect(try socket.links().count == 1, "one link, not the same one twice")
    }

    @Test("A refusal carries the kernel's own words")
    func refusal() throws {
        let socket = socket(
            """
            34 00 00 00  02 00  00 03  01 00 00 00  00 00 00 00  // ERROR, CAPPED|ACK_TLVS
            ef ff ff ff                // -EEXIST
            28 00 00 00  10 00  05 06  01 00 00 00  00 00 00 00  // of the request
            10 00  01 00  61 6c 72 65 61 64 79 20 69 73 21 00  // NLMSGERR_ATTR_MSG "already is!"
            """)
        #expect(
            throws: NetlinkError.refused(
                operation: "delete", object: "device #3", errno: .fileExists,
                message: "already is!")
        ) { try socket.deleteLink(3) }
    }

    @Test("An extended acknowledgement is found behind a repeated request")
    func uncappedRefusal() throws {
        let socket = socket(
            """
            3c 00 00 00  02 00  00 02  01 00 00 00  00 00 00 00  // ERROR, ACK_TLVS
            ff ff ff ff                // -EPERM
            20 00 00 00  11 00  05 00  01 00 00 00  00 00 00 00  // the request, in full
            00 00  00 00  03 00 00 00  00 00 00 00  00 00 00 00
            07 00  01 00  6e 6f 00 00  // NLMSGERR_ATTR_MSG "no"
            """)
        #expect {
            try socket.deleteLink(3)
        } throws: { error in
            "\(error)".hasPrefix("cannot delete device #3: no (")
                && "\(error)".contains("CAP_NET_ADMIN")
        }
    }

    @Test(
        "A malformed answer is skipped or refused, never trusted",
        arguments: [
            "",  // an empty datagram
            "ff ff ff ff",  // shorter than a header
            "ff ff ff ff 02 00 00 00 01 00 00 00 00 00 00 00",  // longer than the datagram
            "00 00 00 00 02 00 00 00 01 00 00 00 00 00 00 00",  // a length of zero
            "12 00 00 00 02 00 00 00 01 00 00 00 00 00 00 00 ff ff",  // no room for an error
            "14 00 00 00 02 00 00 02 01 00 00 00 00 00 00 00 00 00 00 80",  // INT_MIN
        ])
    func malformed(answer: String) {
        #expect(throws: NetlinkError.self) { try socket(answer).deleteLink(3) }
    }

    @Test("A link cut short at any byte is read as far as it goes")
    func truncated() throws {
        let whole = hex(Golden.link)
        for byteCount in 16..<whole.count {
            var cut = Array(whole[..<byteCount])
            cut[0] = UInt8(byteCount)
            let transport = RecordingTransport(
                answers: [.success(cut), .success(hex(Golden.done))])
            let links = try NetlinkSocket(transport: transport).links()
            #expect(links.count == (byteCount < 32 ? 0 : 1))
        }
    }
}

@Suite("Link events")
struct LinkEventTests {
    private func events(_ answers: [Result<[UInt8], Errno>]) throws -> [LinkEvent] {
        let transport = RecordingTransport(answers: answers)
        return try LinkEvents(
            transport: transport, descriptor: FileDescriptor(rawValue: -1)
        ).drain()
    }

    @Test("A change, an overrun and a removal arrive in order")
    func order() throws {
        let events = try events([
            .success(hex(Golden.link)), .failure(.noBufferSpace),
            .success(hex(Golden.deletedLink)),
        ])
        #expect(events.count == 3)
        guard case .changed(let link) = events.first else {
            Issue.record("the first is \(events)")
            return
        }
        #expect(link.name == "va")
        #expect(Array(events.dropFirst()) == [.overrun, .removed(index: 5, name: "va")])
    }

    @Test("A port that leaves a bridge is not a device that is gone")
    func bridgePort() throws {
        let left = Golden.deletedLink.replacingOccurrences(
            of: "00 00  01 00  05 00 00 00", with: "07 00  01 00  05 00 00 00")
        #expect(left != Golden.deletedLink)
        #expect(try events([.success(hex(left))]) == [])
    }

    @Test("No events are an empty list, and a broken socket is an error")
    func emptyAndBroken() throws {
        #expect(try events([]) == [])
        #expect(throws: NetlinkError.socket(operation: "watch links", errno: .badFileDescriptor)) {
            try events([.failure(.badFileDescriptor)])
        }
    }
}
