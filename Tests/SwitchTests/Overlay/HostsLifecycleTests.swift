import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Start, change and crash on several hosts")
    struct HostsLifecycle {
        @Test("a kernel vxlan device that holds the UDP port is named, and nothing is left")
        func takenPort() throws {
            try Lab.with { lab in
                let underlay = try Underlay(lab, ["alpha": "192.0.2.1/24"])
                try lab.sh(
                    "ip link add vx0 type vxlan id 5 dstport 4789 dev eth0; ip link set vx0 up",
                    in: "alpha")
                let file = try lab.file("hosts.yaml", TwoHosts.topology())
                let process = try lab.launchSwitch(
                    file, ["--host", "alpha", "--socket", "/run/a.sock"], in: "alpha")
                #expect(try process.waitForEnd() == 1)
                let said = process.standardError
                #expect(said.contains("UDP port 4789 of 192.0.2.1 is taken"), "\(said)")
                #expect(said.contains("vx0"), "\(said)")
                #expect(said.contains("overlay.port"), "\(said)")
                #expect(try lab.namespaces() == ["alpha"])
                #expect(try Set(lab.devices(in: "alpha")) == ["eth0", "vx0"])

                // What it suggests helps.
                let other = try lab.file(
                    "other.yaml", TwoHosts.topology(overlay: "{kind: vxlan, port: 8472}"))
                let second = try underlay.start("alpha", other)
                try second.finish()
            }
        }

        @Test("the same file again changes nothing")
        func again() throws {
            try TwoHosts.with { hosts in
                let underlay = hosts.underlay
                let numbers = try underlay.tunnels(of: "alpha").map(\.number)
                let stream = try hosts.lab.stream(
                    from: "web-1", to: Host("web-2", "10.9.0.2"), rate: 500)
                for host in underlay.hosts {
                    let plan = try underlay.heddle(on: host, "topology", "plan", hosts.file)
                    #expect(plan.status == 0 && plan.text == "nothing to do\n", "\(plan.text)")
                    let applied = try underlay.heddle(on: host, "topology", "apply", hosts.file)
                    #expect(applied.status == 0 && applied.text.contains("nothing to do"))
                }
                let account = try stream.finish()
                #expect(account.isPerfect, "\(account)")
                #expect(try underlay.tunnels(of: "alpha").map(\.number) == numbers)
            }
        }

        @Test("a port moves to another host by one changed word")
        func move() throws {
            try TwoHosts.with { hosts in
                let (lab, underlay) = (hosts.lab, hosts.underlay)
                let text = TwoHosts.topology().replacingOccurrences(
                    of: "web-2: {host: beta", with: "web-2: {host: alpha")
                let file = try lab.file("moved.yaml", text)
                // The one that gives first: both hosts' namespaces are one here.
                for host in ["beta", "alpha"] {
                    let applied = try underlay.heddle(on: host, "topology", "apply", file)
                    #expect(applied.status == 0, "\(applied.standardError)")
                }
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                let mac = try #require(try underlay.port("web-2", on: "alpha").mac)
                #expect(try underlay.fdb(of: "alpha").first { $0.mac == mac }?.port == "web-2")
                #expect(try underlay.tunnels(of: "alpha").first?.networks == ["green"])
                #expect(try underlay.pings("db-1", "10.9.0.4"), "the other network stays")

                for host in ["alpha", "beta"] {
                    let applied = try underlay.heddle(on: host, "topology", "apply", hosts.file)
                    #expect(applied.status == 0, "\(applied.standardError)")
                }
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                #expect(try underlay.pings("web-2", "10.9.0.1"))
            }
        }

        @Test("another encapsulation, UDP port or underlay address takes effect when it is applied")
        func otherTunnel() throws {
            try TwoHosts.with { hosts in
                let underlay = hosts.underlay
                func apply(_ text: String, _ name: String) throws {
                    let file = try hosts.lab.file(name, text)
                    for host in underlay.hosts {
                        let applied = try underlay.heddle(on: host, "topology", "apply", file)
                        #expect(applied.status == 0, "\(name): \(applied.standardError)")
                    }
                    #expect(try underlay.pings("web-1", "10.9.0.2"), "\(name)")
                    #expect(try underlay.pings("db-2", "10.9.0.3"), "\(name)")
                }
                for (overlay, tunnel) in [
                    ("{kind: geneve}", "geneve:beta"), ("{kind: gre}", "gre:beta"),
                    ("{kind: vxlan, port: 8472}", "vxlan-8472:beta"),
                    ("{kind: nvgre}", "nvgre:beta"), ("{kind: vxlan}", "vxlan:beta"),
                ] {
                    try apply(TwoHosts.topology(overlay: overlay, mtu: 1400), "\(tunnel).yaml")
                    #expect(try underlay.tunnels(of: "alpha").map(\.name) == [tunnel])
                    #expect(
                        try underlay.fdb(of: "alpha").allSatisfy {
                            $0.vtep == nil || $0.port == tunnel
                        })
                }
                try hosts.lab.sh("ip address add 192.0.2.3/24 dev eth0", in: "beta")
                let moved = TwoHosts.topology().replacingOccurrences(
                    of: "192.0.2.2", with: "192.0.2.3")
                try apply(moved, "moved.yaml")
                // Linux takes the second address of a subnet away with the first.
                try hosts.lab.sh(
                    """
                    ip address delete 192.0.2.2/24 dev eth0
                    ip address replace 192.0.2.3/24 dev eth0
                    """, in: "beta")
                #expect(try underlay.pings("web-1", "10.9.0.2"), "without the old address")
                #expect(try underlay.tunnels(of: "alpha").map(\.remote) == ["192.0.2.3"])
            }
        }

        @Test("after kill -9 of one daemon its next start adopts everything and traffic goes on")
        func crash() throws {
            try Lab.with { lab in
                let underlay = try Underlay(lab, ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"])
                let file = try lab.file("hosts.yaml", TwoHosts.topology())
                let alpha = try underlay.start("alpha", file)
                let beta = try underlay.start("beta", file)
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                let index = try lab.index(of: "web-2", in: "web-2")
                let numbers = try underlay.tunnels(of: "beta").map(\.number)
                let listener = try lab.peer(["tcp-receive", "7000"], in: "web-2")
                let sender = try lab.peer(
                    ["tcp-send", "10.9.0.2", "7000", "3000000", "1000000"], in: "web-1")
                usleep(500_000)
                try beta.send(SIGKILL)
                #expect(try beta.waitForEnd() == -SIGKILL)
                #expect(try lab.devices(in: "web-2") == ["web-2"], "TAPs outlive a crash")

                let second = try underlay.start("beta", file)
                #expect(try lab.index(of: "web-2", in: "web-2") == index)
                #expect(try underlay.tunnels(of: "beta").map(\.number) == numbers)
                try sender.waitForEnd(seconds: 20)
                #expect(
                    sender.output.contains(#""sent":3000000,"acknowledged":3000000"#),
                    "\(sender.output)")
                try listener.finish()
                #expect(try underlay.pings("db-2", "10.9.0.3"))
                try underlay.end([alpha, second])
            }
        }

        @Test(
            "on a machine that the topology does not know, 'run' says how to say which host it is")
        func unknownHost() throws {
            try Lab.with { lab in
                let file = try lab.file("hosts.yaml", TwoHosts.topology())
                let process = try lab.launchSwitch(file)
                #expect(try process.waitForEnd() == 1)
                let said = process.standardError
                #expect(said.contains("the topology has no host '"), "\(said)")
                #expect(said.contains("it has 'alpha' and 'beta'"), "\(said)")
                #expect(said.contains("'heddle run --host NAME'"), "\(said)")
                let near = try lab.launchSwitch(file, ["--host", "alpah"])
                #expect(try near.waitForEnd() == 1)
                #expect(near.standardError.contains("did you mean 'alpha'?"))
                #expect(try lab.leftovers() == [])
            }
        }
    }
}
