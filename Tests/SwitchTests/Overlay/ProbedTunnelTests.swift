import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Probed tunnels")
    struct ProbedTunnels {
        private func tunnel(_ name: String, of host: String, _ underlay: Underlay) throws
            -> TunnelInfo
        {
            try #require(try underlay.tunnels(of: host).first { $0.name == name })
        }

        private func wait(
            _ name: String, of host: String, _ underlay: Underlay, for probe: TunnelProbe
        ) throws -> Bool {
            for _ in 0..<100 {
                if try tunnel(name, of: host, underlay).probe == probe { return true }
                usleep(50_000)
            }
            return false
        }

        @Test("a peer that stops is down in under a second and not flooded to, until it goes on")
        func stoppedPeer() throws {
            try Lab.with { lab in
                let underlay = try Underlay(
                    lab,
                    ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24", "gamma": "192.0.2.3/24"])
                let file = SystemTests.example("three-hosts-geneve")
                let processes = try underlay.hosts.map { try underlay.start($0, file) }
                for peer in ["beta", "gamma"] {
                    #expect(try wait("geneve:\(peer)", of: "alpha", underlay, for: .up))
                }
                #expect(try underlay.pings("web-1", "10.51.0.2"))
                let mac = try #require(try underlay.port("web-1", on: "alpha").mac)

                let down = try TwoHosts.seconds(
                    until: processes[0], says: "tunnel 'geneve:beta' is down"
                ) { try processes[1].send(SIGSTOP) }
                #expect(down < 1)
                let dead = try tunnel("geneve:beta", of: "alpha", underlay)
                #expect(dead.state == .down && dead.probe == .down)
                #expect(dead.reason?.contains("no longer answers probes") == true)
                #expect(try tunnel("geneve:gamma", of: "alpha", underlay).state == .up)

                let before = try underlay.drops(on: "alpha")
                let wires = try ["beta", "gamma"].map {
                    try lab.peer(["watch", Underlay.device], in: $0)
                }
                try underlay.send(
                    [Underlay.broadcast(from: mac, marker: "d4")], by: "web-1", in: "web-1")
                usleep(300_000)
                for wire in wires { try wire.finish() }
                #expect(try LoggedFrame.count(in: wires[0], with: "d4") == 0, "beta is skipped")
                #expect(try LoggedFrame.count(in: wires[1], with: "d4") == 1)
                #expect(try underlay.drops(on: "alpha") == before, "and that is no drop")
                // What is known to live there is one.
                #expect(try !lab.ping(from: "web-1", "10.51.0.2"))
                #expect(try underlay.drops("tunnel-down", on: "alpha") > 0)
                #expect(try underlay.pings("web-1", "10.51.0.3"))

                let up = try TwoHosts.seconds(
                    until: processes[0], says: "tunnel 'geneve:beta' is up"
                ) { try processes[1].send(SIGCONT) }
                #expect(up < 5)
                #expect(try wait("geneve:alpha", of: "beta", underlay, for: .up))
                #expect(try underlay.pings("web-1", "10.51.0.2"))
                try underlay.end(processes)
            }
        }

        @Test("a peer that does not probe stays unprobed, up, and is flooded to")
        func peerWithoutProbes() throws {
            try Lab.with { lab in
                let underlay = try Underlay(lab, ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"])
                let files = try ["{probe: true, probe-interval: 50}", "{kind: vxlan}"].map {
                    try lab.file("\($0.count).yaml", TwoHosts.topology(overlay: $0))
                }
                let processes = try zip(underlay.hosts, files).map { try underlay.start($0, $1) }
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                sleep(2)
                let tunnel = try tunnel("vxlan:beta", of: "alpha", underlay)
                #expect(tunnel.probe == .unprobed && tunnel.state == .up, "\(tunnel)")
                #expect(try self.tunnel("vxlan:alpha", of: "beta", underlay).probe == .off)
                let mac = try #require(try underlay.port("web-1", on: "alpha").mac)
                let witness = try lab.peer(["watch", "web-2", "ff:ff:ff:ff:ff:ff"], in: "web-2")
                try underlay.send(
                    [Underlay.broadcast(from: mac, marker: "e5")], by: "web-1", in: "web-1")
                usleep(300_000)
                try witness.finish()
                #expect(try LoggedFrame.count(in: witness, with: "e5") == 1)
                try underlay.end(processes)
            }
        }
    }
}
