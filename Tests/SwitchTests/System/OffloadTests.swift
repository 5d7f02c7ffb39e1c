import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Offloads between TAP devices")
    struct Offloads {
        private static let topology = """
            heddle: 1
            networks: {blue: {vlan: 10}, green: {vlan: 20}}
            ports:
              a: {network: blue, tap: {namespace: a, address: [10.1.0.1/24]}}
              b: {network: blue, tap: {namespace: b, address: [10.1.0.2/24]}}
            """

        @Test("a TCP transfer crosses in super-frames, whole, and arrives right")
        func superFrames() throws {
            try withTopology(Self.topology) { lab in
                let listener = try lab.peer(["tcp-receive", "7000"], in: "b")
                #expect(try lab.port("a").offloads.contains("tso4"))
                let bulk = try lab.run(
                    [Lab.peerPath, "tcp-send", "10.1.0.2", "7000", "300000000"], in: "a")
                #expect(bulk.text.contains(#""acknowledged":300000000"#), "\(bulk.standardError)")
                try listener.finish()

                let stats = try lab.json("stats", as: StatsInfo.self)
                let a = try #require(stats.ports.first { $0.name == "a" }?.counters)
                let b = try #require(stats.ports.first { $0.name == "b" }?.counters)
                #expect(a.receivedBytes > 300_000_000)
                #expect(a.receivedSegments > 200_000, "as many as 1448-byte segments need")
                #expect(a.receivedSegments > 10 * a.receivedFrames, "\(a)")
                // Software segmentation would make as many frames as segments at the egress.
                #expect(b.transmittedSegments > 10 * b.transmittedFrames, "\(b)")
                #expect(b.transmittedFrames <= a.receivedFrames + 10)
                #expect(b.egressDroppedFrames == 0)
            }
        }

        @Test("a super-frame is judged by its segments, not by its own length")
        func mtu() throws {
            let narrow = Self.topology.replacingOccurrences(
                of: "vlan: 10", with: "vlan: 10, mtu: 1400")
            try withTopology(narrow) { lab in
                let listener = try lab.peer(["tcp-receive", "7000"], in: "b")
                let bulk = try lab.run(
                    [Lab.peerPath, "tcp-send", "10.1.0.2", "7000", "20000000"], in: "a")
                #expect(bulk.text.contains(#""acknowledged":20000000"#), "\(bulk.standardError)")
                try listener.finish()
                #expect(try lab.drops("oversize", port: "a") == 0)

                // Now the sender's device makes larger segments than the network carries.
                try lab.sh("ip link set dev a mtu 1500", in: "a")
                try lab.sh("ip link set dev b mtu 1500", in: "b")
                let again = try lab.peer(["tcp-receive", "7001"], in: "b")
                let stuck = try lab.run(
                    ["timeout", "2", Lab.peerPath, "tcp-send", "10.1.0.2", "7001", "20000000"],
                    in: "a")
                #expect(stuck.status != 0)
                #expect(try lab.drops("oversize", port: "a") > 0)
                try again.finish()
            }
        }

        @Test(
            "a sender without offloads is served as well",
            .enabled(if: ExternalTool.isAvailable("ethtool")))
        func withoutOffloads() throws {
            try withTopology(Self.topology) { lab in
                try lab.sh("ethtool -K a tx off tso off gso off 2>&1", in: "a")
                let listener = try lab.peer(["tcp-receive", "7000"], in: "b")
                let bulk = try lab.run(
                    [Lab.peerPath, "tcp-send", "10.1.0.2", "7000", "20000000"], in: "a")
                #expect(bulk.text.contains(#""acknowledged":20000000"#), "\(bulk.standardError)")
                try listener.finish()
                let a = try lab.port("a").counters
                #expect(a.receivedFrames == a.receivedSegments)
            }
        }
    }
}
