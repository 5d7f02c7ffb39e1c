import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Changes of the underlay")
    struct UnderlayChanges {
        /// What is done to alpha's underlay, what undoes it, and what the tunnel says meanwhile.
        struct Fault: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let isSix: Bool
            let action: String
            let undo: String
            let reason: String

            init(
                _ description: String, isSix: Bool = false, action: String, undo: String,
                reason: String
            ) {
                testDescription = description
                self.isSix = isSix
                self.action = action
                self.undo = undo
                self.reason = reason
            }
        }

        static let faults = [
            Fault(
                "the route to the peer", action: "ip route delete 192.0.2.0/24 dev eth0",
                undo: "ip route add 192.0.2.0/24 dev eth0 src 192.0.2.1",
                reason: "no route to 192.0.2.2"),
            Fault(
                "the route to the peer, IPv6", isSix: true,
                action: "ip -6 route delete fd00:db8::/64 dev eth0",
                undo: "ip -6 route add fd00:db8::/64 dev eth0",
                reason: "no route to fd00:db8::2"),
            Fault(
                "a route that refuses", action: "ip route add blackhole 192.0.2.2",
                undo: "ip route delete blackhole 192.0.2.2",
                reason: "the route to 192.0.2.2 is a blackhole"),
            Fault(
                "the underlay address", action: "ip address delete 192.0.2.1/24 dev eth0",
                undo: "ip address add 192.0.2.1/24 dev eth0",
                reason: "address 192.0.2.1 is not on this host"),
            Fault(
                "the underlay address, IPv6", isSix: true,
                action: "ip address delete fd00:db8::1/64 dev eth0",
                undo: "ip address add fd00:db8::1/64 dev eth0 nodad",
                reason: "address fd00:db8::1 is not on this host"),
            Fault(
                "the device", action: "ip link set eth0 down", undo: "ip link set eth0 up",
                reason: "device eth0 is down"),
        ]

        @Test(
            "what goes takes the tunnel down in a second, and says why; what comes brings it back",
            arguments: faults)
        func fault(_ fault: Fault) throws {
            try TwoHosts.with(isSix: fault.isSix) { hosts in
                let (lab, underlay) = (hosts.lab, hosts.underlay)
                let down = try TwoHosts.seconds(
                    until: hosts.alpha, says: "tunnel 'vxlan:beta' is down"
                ) { try lab.sh(fault.action, in: "alpha") }
                #expect(down < 1)
                let tunnel = try hosts.tunnel(of: "alpha")
                #expect(tunnel.state == .down)
                #expect(tunnel.reason?.hasPrefix(fault.reason) == true, "\(tunnel.reason ?? "-")")
                let shown = try underlay.heddle(on: "alpha", "tunnel", "list").text
                #expect(shown.contains("down"), "\(shown)")
                #expect(try !lab.ping(from: "web-1", "10.9.0.2"))
                #expect(try underlay.drops("tunnel-down", on: "alpha") > 0)

                let up = try TwoHosts.seconds(
                    until: hosts.alpha, says: "tunnel 'vxlan:beta' is up"
                ) { try lab.sh(fault.undo, in: "alpha") }
                #expect(up < 1)
                #expect(try hosts.tunnel(of: "alpha").reason == nil)
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                #expect(try underlay.pings("db-2", "10.9.0.3"))
            }
        }

        @Test("a file is applied while the underlay address is missing, and works when it comes")
        func lateAddress() throws {
            try Lab.with { lab in
                let underlay = try Underlay(lab, ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"])
                let file = try lab.file("hosts.yaml", TwoHosts.topology())
                try lab.sh("ip address delete 192.0.2.1/24 dev eth0", in: "alpha")
                let processes = try underlay.hosts.map { try underlay.start($0, file) }
                let tunnel = try #require(try underlay.tunnels(of: "alpha").first)
                #expect(tunnel.reason?.hasPrefix("address 192.0.2.1 is not on this host") == true)
                try lab.sh("ip address add 192.0.2.1/24 dev eth0", in: "alpha")
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                try underlay.end(processes)
            }
        }
    }
}
