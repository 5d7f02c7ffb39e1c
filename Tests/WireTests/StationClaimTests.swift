import TestSupport
import Testing

@testable import Wire

@Suite("Claims of stations")
struct StationClaimTests {
    static let mac = MACAddress(rawValue: 0x0200_0000_0001)

    // MARK: Frames

    static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter { !$0.isWhitespace }
        return stride(from: 0, to: digits.count, by: 2).map { place in
            let start = digits.index(digits.startIndex, offsetBy: place)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16) ?? 0
        }
    }

    static func ethernet(_ type: String, _ payload: [UInt8], source: String = "020000000001")
        -> [UInt8]
    {
        bytes("ffffffffffff" + source + type) + payload
    }

    static func arp(
        _ operation: String, sender: String, ip: String, target: String
    ) -> [UInt8] {
        ethernet(
            "0806",
            bytes("0001 0800 06 04" + operation + sender + ip + "000000000000" + target)
                + [UInt8](repeating: 0, count: 18))
    }

    static func ipv6(_ next: UInt8, hop: UInt8 = 255, from: String, _ payload: [UInt8]) -> [UInt8] {
        ethernet(
            "86dd",
            bytes("60000000") + [UInt8(payload.count >> 8), UInt8(payload.count & 255), next, hop]
                + bytes(from) + bytes("ff020000000000000000000000000001") + payload)
    }

    static let linkLocal = "fe80000000000000 0000000000000001"
    static let nowhere = "0000000000000000 0000000000000000"

    static func discovery(_ type: UInt8, target: String) -> [UInt8] {
        [type, 0, 0, 0, 0, 0, 0, 0] + bytes(target)
    }

    static func udp4(_ from: UInt16, _ to: UInt16, _ payload: [UInt8]) -> [UInt8] {
        let count = 8 + payload.count
        func word(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
        return ethernet(
            "0800",
            bytes("4500") + word(20 + count) + bytes("00000000 40 11 0000 00000000 ffffffff")
                + word(Int(from)) + word(Int(to)) + word(count) + [0, 0] + payload)
    }

    /// The fixed part: op, addresses ciaddr and yiaddr, chaddr, cookie.
    static func dhcp(
        _ op: UInt8, ciaddr: String = "00000000", yiaddr: String = "00000000", options: String
    ) -> [UInt8] {
        [op] + bytes("01 06 00 11223344 0000 0000") + bytes(ciaddr) + bytes(yiaddr)
            + bytes("00000000 00000000 020000000001") + [UInt8](repeating: 0, count: 10 + 192)
            + bytes("63825363") + bytes(options)
    }

    static let name = "0c 03 77 65 62"  // option 12: web

    static func v4(_ text: String) -> IPAddress? { IPAddress(text) }

    // MARK: Rows

    struct Row: Sendable, CustomTestStringConvertible {
        let why: String
        let frame: [UInt8]
        let claims: [StationClaim]
        var testDescription: String { why }
    }

    static let rows: [Row] = [
        Row(
            why: "an ARP request tells of its sender",
            frame: arp("0001", sender: "020000000001", ip: "0a000001", target: "0a000002"),
            claims: [StationClaim(.holds, .arp, station: mac, address: v4("10.0.0.1"))]),
        Row(
            why: "as does a reply",
            frame: arp("0002", sender: "020000000001", ip: "0a000001", target: "0a000002"),
            claims: [StationClaim(.holds, .arp, station: mac, address: v4("10.0.0.1"))]),
        Row(
            why: "an announcement has the sender's address as its target (RFC 5227)",
            frame: arp("0001", sender: "020000000001", ip: "0a000001", target: "0a000001"),
            claims: [StationClaim(.holds, .arp, station: mac, address: v4("10.0.0.1"))]),
        Row(
            why: "a probe comes from no address and asks for its target (RFC 5227)",
            frame: arp("0001", sender: "020000000001", ip: "00000000", target: "0a000005"),
            claims: [StationClaim(.asksFor, .arp, station: mac, address: v4("10.0.0.5"))]),
        Row(
            why: "a group is no sender",
            frame: arp("0001", sender: "030000000001", ip: "0a000001", target: "0a000002"),
            claims: []),
        Row(
            why: "nobody has the broadcast address",
            frame: arp("0001", sender: "020000000001", ip: "ffffffff", target: "0a000002"),
            claims: []),
        Row(
            why: "an operation that is neither (RARP)",
            frame: arp("0003", sender: "020000000001", ip: "0a000001", target: "0a000002"),
            claims: []),
        Row(
            why: "ARP that is cut off",
            frame: Array(
                arp("0001", sender: "020000000001", ip: "0a000001", target: "0a000002").prefix(41)),
            claims: []),
        Row(
            why: "a neighbour solicitation tells of its sender",
            frame: ipv6(
                58, from: linkLocal, discovery(135, target: "20010db8000000000000000000000002")),
            claims: [StationClaim(.holds, .nd, station: mac, address: v4("fe80::1"))]),
        Row(
            why: "one from nowhere is for the sender's own address to be (RFC 4862)",
            frame: ipv6(
                58, from: nowhere, discovery(135, target: "20010db8000000000000000000000002")),
            claims: [StationClaim(.holds, .nd, station: mac, address: v4("2001:db8::2"))]),
        Row(
            why: "an advertisement tells of its target",
            frame: ipv6(
                58, from: linkLocal, discovery(136, target: "20010db8000000000000000000000002")),
            claims: [StationClaim(.holds, .nd, station: mac, address: v4("2001:db8::2"))]),
        Row(
            why: "a router solicitation tells of its sender",
            frame: ipv6(58, from: linkLocal, [133, 0, 0, 0, 0, 0, 0, 0]),
            claims: [StationClaim(.holds, .nd, station: mac, address: v4("fe80::1"))]),
        Row(
            why: "what passed a router is no neighbour discovery (RFC 4861 section 7.1.1)",
            frame: ipv6(
                58, hop: 254, from: linkLocal,
                discovery(136, target: "20010db8000000000000000000000002")),
            claims: []),
        Row(
            why: "an advertisement for a group",
            frame: ipv6(
                58, from: linkLocal, discovery(136, target: "ff020000000000000000000000000002")),
            claims: []),
        Row(
            why: "a solicitation that ends in its target",
            frame: ipv6(58, from: nowhere, Array(discovery(135, target: nowhere).prefix(23))),
            claims: []),
        Row(
            why: "a DHCP DISCOVER tells a name, not an address",
            frame: udp4(68, 67, dhcp(1, options: "35 01 01 32 04 0a000009" + name + "ff")),
            claims: [StationClaim(.holds, .dhcp, station: mac, hostName: "web")]),
        Row(
            why: "a REQUEST names the address that was offered",
            frame: udp4(68, 67, dhcp(1, options: "35 01 03 32 04 0a000009" + name + "ff")),
            claims: [
                StationClaim(
                    .holds, .dhcp, station: mac, address: v4("10.0.0.9"), hostName: "web")
            ]),
        Row(
            why: "a REQUEST that renews has its address in the fixed part",
            frame: udp4(68, 67, dhcp(1, ciaddr: "0a000009", options: "35 01 03 ff")),
            claims: [StationClaim(.holds, .dhcp, station: mac, address: v4("10.0.0.9"))]),
        Row(
            why: "an ACK tells of the client, whoever sends it",
            frame: udp4(67, 68, dhcp(2, yiaddr: "0a000009", options: "35 01 05 ff")),
            claims: [StationClaim(.holds, .dhcp, station: mac, address: v4("10.0.0.9"))]),
        Row(
            why: "an OFFER is not taken yet",
            frame: udp4(67, 68, dhcp(2, yiaddr: "0a000009", options: "35 01 02 ff")), claims: []),
        Row(
            why: "a RELEASE gives the address back",
            frame: udp4(68, 67, dhcp(1, ciaddr: "0a000009", options: "35 01 07 ff")),
            claims: [StationClaim(.releases, .dhcp, station: mac, address: v4("10.0.0.9"))]),
        Row(
            why: "padding between options is skipped",
            frame: udp4(68, 67, dhcp(1, options: "00 00 35 01 03 00 32 04 0a000009 ff")),
            claims: [StationClaim(.holds, .dhcp, station: mac, address: v4("10.0.0.9"))]),
        Row(
            why: "an option that ends outside ends the options",
            frame: udp4(68, 67, dhcp(1, options: "35 01 03 32 04 0a000009 0c ff 77")),
            claims: [StationClaim(.holds, .dhcp, station: mac, address: v4("10.0.0.9"))]),
        Row(
            why: "a code without a length",
            frame: udp4(68, 67, dhcp(1, options: "35 01 03 32 04 0a000009 0c")),
            claims: [StationClaim(.holds, .dhcp, station: mac, address: v4("10.0.0.9"))]),
        Row(
            why: "an address option of the wrong length",
            frame: udp4(68, 67, dhcp(1, options: "35 01 03 32 03 0a0000 ff")), claims: []),
        Row(
            why: "a terminal's control characters are nobody's name",
            frame: udp4(68, 67, dhcp(1, options: "35 01 01 0c 04 1b 5b 32 4a ff")), claims: []),
        Row(
            why: "a name that counts its terminating zero",
            frame: udp4(68, 67, dhcp(1, options: "35 01 01 0c 04 77 65 62 00 ff")),
            claims: [StationClaim(.holds, .dhcp, station: mac, hostName: "web")]),
        Row(
            why: "without the cookie it is BOOTP, or nothing",
            frame: {
                var frame = udp4(68, 67, dhcp(1, options: "35 01 03 32 04 0a000009 ff"))
                frame[42 + 236] = 0
                return frame
            }(), claims: []),
        Row(
            why: "hardware addresses of another length",
            frame: {
                var frame = udp4(68, 67, dhcp(1, options: "35 01 03 32 04 0a000009 ff"))
                frame[42 + 2] = 16
                return frame
            }(), claims: []),
        Row(
            why: "a DHCPv6 REQUEST names its addresses and its host",
            frame: ipv6(
                17, from: linkLocal,
                dhcpv6(
                    "03 112233 0003 0028 00000001 00000000 00000000"
                        + "0005 0018 20010db8000000000000000000000009 00000000 00000000"
                        + "0027 0005 00 03 77 65 62")),
            claims: [
                StationClaim(
                    .holds, .dhcpv6, station: mac, address: v4("2001:db8::9"), hostName: "web")
            ]),
        Row(
            why: "a DHCPv6 SOLICIT tells its name alone",
            frame: ipv6(
                17, from: linkLocal, dhcpv6("01 112233 0027 0005 00 03 77 65 62")),
            claims: [StationClaim(.holds, .dhcpv6, station: mac, hostName: "web")]),
        Row(
            why: "a DHCPv6 option that ends outside",
            frame: ipv6(17, from: linkLocal, dhcpv6("03 112233 0003 ffff 00000001")), claims: []),
        Row(
            why: "a label longer than its option",
            frame: ipv6(17, from: linkLocal, dhcpv6("01 112233 0027 0003 00 3f 77")), claims: []),
        Row(why: "an Ethernet header alone", frame: ethernet("0806", []), claims: []),
        Row(why: "no frame", frame: [], claims: []),
    ]

    static func dhcpv6(_ hex: String) -> [UInt8] {
        let message = bytes(hex)
        let count = 8 + message.count
        return bytes("0222 0223") + [UInt8(count >> 8), UInt8(count & 255), 0, 0] + message
    }

    @Test("are read from what hosts say to all", arguments: rows)
    func claims(_ row: Row) {
        row.frame.withUnsafeBytes { #expect(StationClaim.parse($0.bytes) == row.claims) }
    }

    @Test("of cut and of altered frames never trap, and keep their bounds")
    func hostile() {
        var random = SeededRandom(seed: 826)
        for row in Self.rows {
            for count in 0...row.frame.count {
                row.frame.prefix(count).withUnsafeBytes { _ = StationClaim.parse($0.bytes) }
            }
            for _ in 0..<200 where !row.frame.isEmpty {
                var frame = row.frame
                for _ in 0..<4 {
                    frame[Int.random(in: 0..<frame.count, using: &random)] =
                        UInt8.random(in: 0...255, using: &random)
                }
                frame.withUnsafeBytes {
                    #expect(StationClaim.parse($0.bytes).count <= StationClaim.limit)
                }
            }
        }
    }
}
