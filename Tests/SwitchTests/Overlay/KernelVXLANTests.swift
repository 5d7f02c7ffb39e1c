import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite(
        "A kernel vxlan device with a bridge as the other VTEP",
        .enabled(if: Lab.isAvailable && KernelPeer.isAvailable, "it needs the kernel's vxlan"))
    struct KernelVXLAN {
        private static let topology = """
            heddle: 1
            hosts:
              alpha: {underlay: 192.0.2.1}
              beta: {underlay: 192.0.2.2, networks: [blue]}
            networks:
              blue: {vni: 10010, mtu: 1450}
              green: {vni: 10020, mtu: 1450}
            ports:
              web-1: {host: alpha, network: blue, tap: {namespace: web-1, address: [10.9.0.1/24]}}
              web-4: {host: alpha, network: blue, tap: {namespace: web-4, address: [10.9.0.4/24]}}
              db-1: {host: alpha, network: green, tap: {namespace: db-1, address: [10.9.0.1/24]}}
            """

        /// Heddle on alpha; on beta a bridge, with web-2 behind it.
        private func withPeer(
            learns: Bool = true,
            _ body: (Lab, Underlay, KernelPeer, _ mac: String) throws -> Void
        ) throws {
            try Lab.with { lab in
                let underlay = try Underlay(lab, ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"])
                let peer = KernelPeer(
                    lab: lab, host: "beta", local: "192.0.2.2", remote: "192.0.2.1")
                try peer.addNetwork(10010, learns: learns)
                let mac = try peer.addTenant("web-2", 10010, "10.9.0.2/24")
                let process = try underlay.start("alpha", lab.file("hosts.yaml", Self.topology))
                try body(lab, underlay, peer, mac)
                #expect(try underlay.finish(process, on: "alpha") == [])
            }
        }

        @Test("tenants reach each other both ways, by ping and TCP, and the MAC is at the VTEP")
        func reach() throws {
            try withPeer { lab, underlay, _, mac in
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                #expect(try underlay.pings("web-2", "10.9.0.4"))
                #expect(try underlay.tcp("web-1", to: "web-2", "10.9.0.2") == 20_000_000)
                #expect(try underlay.tcp("web-2", to: "web-1", "10.9.0.1") == 20_000_000)

                let entry = try #require(
                    try underlay.fdb(of: "alpha").first { $0.mac == mac })
                #expect(entry.port == "vxlan:beta")
                #expect(entry.vtep == "192.0.2.2")
                #expect(entry.kind == .dynamic)
                let tunnel = try #require(try underlay.tunnels(of: "alpha").first)
                #expect(tunnel.name == "vxlan:beta" && tunnel.state == .up, "\(tunnel)")
                #expect(tunnel.networks == ["blue"])
                #expect(tunnel.counters.receivedFrames > 0)
                #expect(tunnel.counters.transmittedFrames > 0)
                let here = try #require(try underlay.port("web-1", on: "alpha").mac)
                let there = try lab.sh("bridge fdb show dev vx10010", in: "beta")
                #expect(
                    there.split(separator: "\n").contains {
                        $0.hasPrefix(here) && $0.contains("dst 192.0.2.1")
                    }, "the kernel has learned it too: \(there)")
            }
        }

        @Test("a broadcast is flooded over the tunnel, once, and from the tunnel to the ports")
        func flood() throws {
            try withPeer { lab, underlay, _, mac in
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                let broadcast = "ff:ff:ff:ff:ff:ff"
                let there = try lab.peer(["watch", "tenant", broadcast], in: "web-2")
                let here = try lab.peer(["watch", "web-4", broadcast], in: "web-4")
                func frame(from source: String, _ marker: String) -> String {
                    "ffffffffffff" + source.filter { $0 != ":" } + "88b5"
                        + String(repeating: marker, count: 46)
                }
                let own = try #require(try underlay.port("web-1", on: "alpha").mac)
                for (namespace, device, source, marker) in [
                    ("web-1", "web-1", own, "a1"), ("web-2", "tenant", mac, "b2"),
                ] {
                    let sent = try lab.run(
                        [Lab.peerPath, "frames", device, frame(from: source, marker)],
                        in: namespace)
                    #expect(sent.status == 0, "\(sent.standardError)")
                }
                usleep(300_000)
                func markers(_ peer: LabProcess) throws -> [String] {
                    try peer.finish()
                    return try LoggedFrame.log(of: peer).filter { $0.type == 0x88B5 }
                        .map { String($0.bytes.suffix(2)) }
                }
                #expect(try markers(there).filter { $0 == "a1" } == ["a1"])
                #expect(try markers(here) == ["a1", "b2"])
                // ARP itself, for an address that neither knows yet.
                try lab.sh("ip neighbour flush all", in: "web-1")
                try lab.sh("ip neighbour flush all", in: "web-2")
                #expect(try lab.ping(from: "web-1", "10.9.0.2"))
            }
        }

        @Test("a VNI that is not the peer's and a sender that is nobody's are dropped, and said so")
        func strangers() throws {
            try withPeer { lab, underlay, peer, _ in
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                let before = try underlay.port("db-1", on: "alpha").counters.transmittedFrames
                // green exists on alpha, but beta takes part in blue only; 999 is nobody's.
                for vni in [10020, 999] {
                    let drops = try underlay.drops("unknown-vni", on: "alpha")
                    try peer.addNetwork(vni)
                    try peer.addTenant("stray-\(vni)", vni, "10.9.0.9/24")
                    #expect(try !lab.ping(from: "stray-\(vni)", "10.9.0.1"))
                    #expect(try underlay.drops("unknown-vni", on: "alpha") > drops, "VNI \(vni)")
                }
                #expect(
                    try underlay.port("db-1", on: "alpha").counters.transmittedFrames == before)

                // The right VNI from an address that no host of the file has.
                try lab.sh(
                    """
                    ip address add 192.0.2.77/24 dev \(Underlay.device)
                    ip link delete vx10020
                    ip link add vx77 type vxlan id 10020 local 192.0.2.77 remote 192.0.2.1 \
                        dstport 4789 dev \(Underlay.device)
                    ip link set vx77 master br10020 up
                    """, in: "beta")
                #expect(try !lab.ping(from: "stray-10020", "10.9.0.1"))
                #expect(try underlay.drops("unknown-vtep", on: "alpha") > 0)
                #expect(
                    try underlay.port("db-1", on: "alpha").counters.transmittedFrames == before)
                #expect(try lab.ping(from: "web-1", "10.9.0.2"), "others are not disturbed")
            }
        }

        @Test("entries by hand on both sides do without learning and without flooding")
        func byHand() throws {
            try withPeer(learns: false) { lab, underlay, _, mac in
                let own = try #require(try underlay.port("web-1", on: "alpha").mac)
                let added = try underlay.heddle(
                    on: "alpha", "fdb", "add", "blue", mac, "--vtep", "beta")
                #expect(added.status == 0, "\(added.standardError)")
                try lab.sh("bridge fdb add \(own) dev vx10010 dst 192.0.2.1 self", in: "beta")
                try lab.sh(
                    "ip neighbour replace 10.9.0.2 lladdr \(mac) dev web-1 nud permanent",
                    in: "web-1")
                try lab.sh(
                    "ip neighbour replace 10.9.0.1 lladdr \(own) dev tenant nud permanent",
                    in: "web-2")
                let witness = try lab.peer(["watch", "web-4", mac], in: "web-4")
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                #expect(try underlay.tcp("web-1", to: "web-2", "10.9.0.2") == 20_000_000)
                try witness.finish()
                #expect(try LoggedFrame.log(of: witness).isEmpty, "nothing was flooded")
                let entry = try #require(
                    try underlay.fdb(of: "alpha").first { $0.mac == mac })
                #expect(entry.kind == .static && entry.port == "vxlan:beta", "\(entry)")

                let deleted = try underlay.heddle(on: "alpha", "fdb", "delete", "blue", mac)
                #expect(deleted.status == 0, "\(deleted.standardError)")
            }
        }
    }
}
