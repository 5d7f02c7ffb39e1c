import ControlAPI
import Foundation
import TestSupport
import Testing
import Wire

extension SystemTests {
    /// What anyone on the underlay can send: it is dropped under its own reason, `heddle drops` says
    /// so, and no tenant sees it.
    @Suite("A hostile underlay")
    struct HostileUnderlay {
        struct Attack: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let reason: String
            /// The outer source's last octet: 1 is alpha, the victim, and 2 is beta, its peer.
            var source: UInt8 = 2
            /// Behind the UDP header, or the IP header in case of GRE.
            let datagram: [UInt8]

            init(
                _ description: String, _ reason: String, source: UInt8 = 2, _ datagram: [UInt8]
            ) {
                testDescription = description
                self.reason = reason
                self.source = source
                self.datagram = datagram
            }
        }

        private static let marker = [UInt8](repeating: 0xF6, count: 46)
        /// A frame for everybody, which every port of the network would get.
        private static let inner = FrameBuilder(
            from: MACAddress(rawValue: 0x0200_0000_0099),
            to: MACAddress(rawValue: 0xFFFF_FFFF_FFFF)
        ).frame(EtherType(rawValue: 0x88B5), marker)
        private static let tagged = FrameBuilder(
            from: MACAddress(rawValue: 0x0200_0000_0099),
            to: MACAddress(rawValue: 0xFFFF_FFFF_FFFF)
        ).tagged(10).frame(EtherType(rawValue: 0x88B5), marker)
        private static let fromEverybody = FrameBuilder(
            from: MACAddress(rawValue: 0xFFFF_FFFF_FFFF),
            to: MACAddress(rawValue: 0xFFFF_FFFF_FFFF)
        ).frame(EtherType(rawValue: 0x88B5), marker)

        private static func vxlan(_ vni: UInt32, flags: UInt8 = 8) -> [UInt8] {
            [flags, 0, 0, 0] + (vni << 8).octets
        }

        /// - Parameter words: of options, as the header has it.
        private static func geneve(_ vni: UInt32, words: UInt8 = 0, first: UInt8 = 0) -> [UInt8] {
            [first | words, 0, 0x65, 0x58] + (vni << 8).octets
        }

        private static func gre(_ key: UInt32, flags: UInt16 = 0x2000) -> [UInt8] {
            flags.octets + [0x65, 0x58] + key.octets
        }

        static let vxlanAttacks = [
            Attack("a sender that is no host", "unknown-vtep", source: 77, vxlan(10010) + inner),
            Attack("our own packet", "own-packet", source: 1, vxlan(10010) + inner),
            Attack("a VNI that no network has", "unknown-vni", vxlan(999) + inner),
            Attack("VNI 0, which is for probes", "unknown-vni", vxlan(0) + inner),
            Attack("no VNI", "malformed-tunnel", vxlan(10010, flags: 0) + inner),
            Attack("half a header", "malformed-tunnel", Array(vxlan(10010).prefix(5))),
            Attack("no frame", "runt", vxlan(10010)),
            Attack("half a frame header", "runt", vxlan(10010) + inner.prefix(10)),
            Attack("a tag", "tag-in-tunnel", vxlan(10010) + tagged),
            Attack("a group as source", "invalid-source", vxlan(10010) + fromEverybody),
        ]

        static let geneveAttacks = [
            Attack(
                "options that are cut off", "malformed-tunnel",
                geneve(10010, words: 63) + [UInt8](repeating: 0, count: 20)),
            Attack(
                "an option longer than the options", "malformed-tunnel",
                geneve(10010, words: 1) + [1, 2, 3, 0x1F] + inner),
            Attack(
                "a critical option", "critical-option",
                geneve(10010, words: 1) + [1, 2, 0x83, 0] + inner),
            Attack("another version", "malformed-tunnel", geneve(10010, first: 0x40) + inner),
            Attack("a VNI that no network has", "unknown-vni", geneve(999) + inner),
        ]

        static let greAttacks = [
            Attack("a key that no network has", "unknown-vni", gre(999) + inner),
            Attack(
                "no key", "malformed-tunnel", [0, 0, 0x65, 0x58] + inner),
            Attack("half a header", "malformed-tunnel", [0x20, 0, 0x65]),
            Attack("a sender that is no host", "unknown-vtep", source: 77, gre(10010) + inner),
        ]

        static let ways: [(kind: String, port: UInt16?, attacks: [Attack])] = [
            ("vxlan", 4789, vxlanAttacks), ("geneve", 6081, geneveAttacks),
            ("gre", nil, greAttacks),
        ]

        @Test(
            "is dropped, each frame for its reason, and others are not disturbed", arguments: ways)
        func attack(_ way: (kind: String, port: UInt16?, attacks: [Attack])) throws {
            try TwoHosts.with(overlay: "{kind: \(way.kind)}") { hosts in
                let (lab, underlay) = (hosts.lab, hosts.underlay)
                // Linux itself refuses what comes from its own addresses, unless told not to.
                try lab.sh(
                    """
                    for device in all eth0; do
                        echo 1 > /proc/sys/net/ipv4/conf/$device/accept_local
                        echo 0 > /proc/sys/net/ipv4/conf/$device/rp_filter
                    done
                    """, in: "alpha")
                let victim = try lab.peer(["watch", "web-1", "ff:ff:ff:ff:ff:ff"], in: "web-1")
                let target = MACAddress(
                    try Underlay.mac(of: Underlay.device, in: "alpha", lab))
                for attack in way.attacks {
                    let before = try underlay.drops(on: "alpha")
                    let outer = FrameBuilder(to: try #require(target)).ipv4(
                        from: IPv4Address(192, 0, 2, attack.source), to: IPv4Address(192, 0, 2, 1))
                    let frame =
                        way.port.map { outer.udp(from: 50_000, to: $0, payload: attack.datagram) }
                        ?? outer.packet(
                            IPProtocol(rawValue: 47), attack.datagram, checksumOffset: nil)
                    try underlay.send(
                        [Hex.text(frame).filter { !$0.isWhitespace }], by: Underlay.device,
                        in: "beta")
                    var after = before
                    for _ in 0..<40 {
                        after = try underlay.drops(on: "alpha")
                        if after != before { break }
                        usleep(20_000)
                    }
                    after[attack.reason, default: 0] -= after[attack.reason] == nil ? 0 : 1
                    if after[attack.reason] == 0 { after[attack.reason] = nil }
                    #expect(after == before, "\(attack): \(attack.reason)")
                }
                try victim.finish()
                #expect(try LoggedFrame.count(in: victim, with: "f6") == 0)
                #expect(
                    try lab.pings(among: [Host("web-1", "10.9.0.1"), Host("web-2", "10.9.0.2")])
                        == ["web-1 > web-2", "web-2 > web-1"])
                let table = try underlay.heddle(on: "alpha", "drops").text
                for attack in way.attacks { #expect(table.contains(attack.reason), "\(table)") }
            }
        }

        @Test("our own packets come back over IPv6, which Linux lets pass")
        func reflected() throws {
            try TwoHosts.with(isSix: true) { hosts in
                let (lab, underlay) = (hosts.lab, hosts.underlay)
                let target = MACAddress(try Underlay.mac(of: Underlay.device, in: "alpha", lab))
                let alpha = IPv6Address(high: 0xFD00_0DB8_0000_0000, low: 1)
                let frame = FrameBuilder(to: try #require(target)).ipv6(from: alpha, to: alpha)
                    .udp(from: 50_000, to: 4789, payload: Self.vxlan(10010) + Self.inner)
                try underlay.send(
                    [Hex.text(frame).filter { !$0.isWhitespace }], by: Underlay.device, in: "beta")
                var count: UInt64 = 0
                for _ in 0..<40 {
                    count = try underlay.drops("own-packet", on: "alpha")
                    if count > 0 { break }
                    usleep(20_000)
                }
                #expect(count == 1)
            }
        }
    }
}
