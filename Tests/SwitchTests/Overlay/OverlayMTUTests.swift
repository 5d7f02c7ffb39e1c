import ControlAPI
import Foundation
import TestSupport
import Testing
import Wire

extension SystemTests {
    @Suite("An underlay that is too small")
    struct OverlayMTU {
        /// Fragments made by alpha and put together on beta; none, if all is well.
        private func fragments(_ hosts: TwoHosts) throws -> [Int] {
            try ["alpha", "beta"].flatMap { host in
                // Of the lines "Ip:", the first names what the second counts.
                let lines = try hosts.lab.sh("grep ^Ip: /proc/net/snmp", in: host)
                    .split(separator: "\n").map { $0.split(separator: " ") }
                let four = ["FragCreates", "ReasmReqds"].map { name in
                    lines[0].firstIndex { $0 == name }.flatMap { Int(lines[1][$0]) } ?? -1
                }
                let rows = try hosts.lab.sh("cat /proc/net/snmp6", in: host)
                    .split(separator: "\n").map { $0.split(whereSeparator: \.isWhitespace) }
                let six = ["Ip6FragCreates", "Ip6ReasmReqds"].map { name in
                    rows.first { $0[0] == name }.flatMap { Int($0[1]) } ?? -1
                }
                return four + six
            }
        }

        private func lower(_ hosts: TwoHosts, to mtu: Int) throws {
            for host in ["alpha", "beta"] {
                try hosts.lab.sh("ip link set \(Underlay.device) mtu \(mtu)", in: host)
            }
            for host in ["alpha", "beta"] {
                var current: Int?
                for _ in 0..<50 {
                    current = try hosts.tunnel(of: host).underlayMTU
                    if current == mtu { break }
                    usleep(20_000)
                }
                #expect(current == mtu, "\(host) follows")
            }
        }

        private func ping(_ hosts: TwoHosts, _ arguments: String...) throws -> String {
            try hosts.lab.run(["ping", "-c", "2", "-i", "0.3", "-W", "1"] + arguments, in: "web-1")
                .text
        }

        private func forgetPathMTUs(_ hosts: TwoHosts) throws {
            for namespace in ["web-1", "web-2"] {
                try hosts.lab.sh("ip route flush cache; ip -6 route flush cache", in: namespace)
            }
        }

        @Test(
            "the tunnel follows, and so does who sends with DF, by IPv4, IPv6 and TCP",
            arguments: [("vxlan", false, 50), ("geneve", true, 70), ("gre", false, 42)])
        func tooBig(_ kind: String, isSix: Bool, overhead: Int) throws {
            let full = 1500 - overhead
            let less = 1400 - overhead
            try TwoHosts.with(overlay: "{kind: \(kind)}", mtu: full, isSix: isSix) { hosts in
                func ping4(_ size: Int, _ mode: String = "do") throws -> String {
                    try ping(hosts, "-M", mode, "-s", "\(size - 28)", "10.9.0.2")
                }
                func ping6(_ size: Int) throws -> String {
                    try ping(hosts, "-M", "do", "-s", "\(size - 48)", "fd00:9::2")
                }
                let isAnswered = " 0% packet loss"
                #expect(try ping4(full).contains(isAnswered))
                try lower(hosts, to: 1400)
                let shown = try hosts.underlay.heddle(
                    on: "alpha", "tunnel", "show", "\(kind):beta")
                let lines = shown.text.split(separator: "\n").map {
                    $0.split(separator: " ").joined(separator: " ")
                }
                #expect(lines.contains("underlay MTU: 1400"), "\(shown.text)")
                #expect(lines.contains("packets that fit: up to \(less) bytes"))

                // Who did not ask to be told is not told.
                var answers = try ping4(full, "dont")
                #expect(answers.contains("100% packet loss") && !answers.contains("Frag"))
                #expect(try hosts.underlay.drops("overlay-mtu", on: "alpha") == 2)
                answers = try ping4(full)
                #expect(answers.contains("Frag needed and DF set (mtu = \(less))"), "\(answers)")
                #expect(answers.contains("From 10.9.0.2"), "in the name of whom it was to go to")
                #expect(try ping4(less).contains(isAnswered))
                answers = try ping6(full)
                #expect(answers.contains("Packet too big: mtu=\(less)"), "\(answers)")
                #expect(try ping6(less).contains(isAnswered))

                try forgetPathMTUs(hosts)
                for (from, to, address) in [
                    ("web-1", "web-2", "10.9.0.2"), ("web-2", "web-1", "10.9.0.1"),
                ] {
                    let arrived = try hosts.underlay.tcp(from, to: to, address, bytes: 5_000_000)
                    #expect(arrived == 5_000_000)
                }
                #expect(try fragments(hosts) == [Int](repeating: 0, count: 8))

                try lower(hosts, to: 1500)
                try forgetPathMTUs(hosts)
                #expect(try ping4(full).contains(isAnswered))
            }
        }

        @Test("a router that tells of a smaller MTU on the way is heard")
        func pathMTU() throws {
            try Lab.with { lab in
                let underlay = try Underlay(lab, ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"])
                // Between them now lies the lab, as a router, and its way to beta is narrow.
                try lab.sh(
                    """
                    ip link set to-alpha nomaster; ip link set to-beta nomaster
                    ip address add 192.0.2.254/32 dev to-alpha
                    ip address add 192.0.2.253/32 dev to-beta
                    ip route add 192.0.2.1 dev to-alpha; ip route add 192.0.2.2 dev to-beta mtu 1400
                    echo 1 > /proc/sys/net/ipv4/ip_forward
                    """)
                for (host, own, router) in [
                    ("alpha", "192.0.2.1", "192.0.2.254"), ("beta", "192.0.2.2", "192.0.2.253"),
                ] {
                    try lab.sh(
                        """
                        ip address flush dev eth0
                        ip address add \(own)/32 dev eth0
                        ip route add \(router) dev eth0
                        ip route add default via \(router)
                        """, in: host)
                }
                let file = try lab.file("hosts.yaml", TwoHosts.topology())
                let processes = try underlay.hosts.map { try underlay.start($0, file) }
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                let before = try #require(try underlay.tunnels(of: "alpha").first)
                #expect(before.underlayMTU == 1500 && before.gateway == "192.0.2.254")
                // The first is lost in the underlay and teaches; a later one is answered.
                let answers = try lab.run(
                    [
                        "ping", "-c", "10", "-i", "0.3", "-W", "1", "-M", "do", "-s", "1422",
                        "10.9.0.2",
                    ],
                    in: "web-1"
                ).text
                #expect(answers.contains("Frag needed and DF set (mtu = 1350)"), "\(answers)")
                #expect(try underlay.tunnels(of: "alpha").first?.underlayMTU == 1400)
                try underlay.end(processes)
            }
        }

        @Test("'topology plan' says which network does not fit, and what would")
        func note() throws {
            try Lab.with { lab in
                let underlay = try Underlay(lab, ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"])
                let file = try lab.file("hosts.yaml", TwoHosts.topology(mtu: 1500))
                let process = try underlay.start(
                    "alpha", try lab.file("small.yaml", TwoHosts.topology()))
                let plan = try underlay.heddle(on: "alpha", "topology", "plan", file)
                #expect(plan.status == 2, "\(plan.standardError)")
                let said =
                    "network 'blue': mtu 1500 does not fit the underlay (vxlan:beta: 1450 does); "
                    + "set 'mtu: 1450', or raise the underlay's MTU to 1550"
                #expect((plan.text + plan.standardError).contains(said), "\(plan)")
                try process.finish()
            }
        }

        @Test("'mss-clamp' lowers what a SYN and its answer announce, and nothing else does")
        func clamp() throws {
            for (clamps, expected) in [(true, 1310), (false, 1410)] {
                try TwoHosts.with(overlay: "{kind: vxlan, mss-clamp: \(clamps)}") { hosts in
                    try lower(hosts, to: 1400)
                    let there = try hosts.lab.peer(["watch", "web-2"], in: "web-2")
                    let here = try hosts.lab.peer(["watch", "web-1"], in: "web-1")
                    #expect(
                        try hosts.underlay.tcp("web-1", to: "web-2", "10.9.0.2", bytes: 10_000)
                            == 10_000)
                    for peer in [there, here] {
                        try peer.finish()
                        let sizes = try LoggedFrame.log(of: peer).compactMap(Self.segmentSize)
                        #expect(Set(sizes) == [expected], "clamping: \(clamps)")
                    }
                }
            }
        }

        /// The MSS that a TCP SYN over IPv4 announces first, as Linux writes it.
        private static func segmentSize(of frame: LoggedFrame) -> Int? {
            let bytes = Hex.bytes(frame.bytes)
            guard frame.type == 0x0800, bytes.count >= 58, bytes[23] == 6, bytes[47] & 2 != 0,
                bytes[54] == 2
            else { return nil }
            return Int(bytes[56]) << 8 | Int(bytes[57])
        }
    }
}
