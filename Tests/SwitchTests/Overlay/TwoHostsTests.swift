import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Heddle on each host")
    struct HeddleOnEachHost {
        struct Way: Sendable, CustomTestStringConvertible {
            let kind: String
            let isSix: Bool
            /// Bytes that the encapsulation adds to an inner IP packet.
            let overhead: Int

            var testDescription: String { "\(kind) over IPv\(isSix ? 6 : 4)" }
            var addresses: [String] {
                isSix ? ["fd00:db8::1", "fd00:db8::2"] : ["192.0.2.1", "192.0.2.2"]
            }
            var mtu: Int { 1500 - overhead }
        }

        static let ways = [
            Way(kind: "vxlan", isSix: false, overhead: 50),
            Way(kind: "vxlan", isSix: true, overhead: 70),
            Way(kind: "geneve", isSix: false, overhead: 50),
            Way(kind: "geneve", isSix: true, overhead: 70),
            Way(kind: "gre", isSix: false, overhead: 42),
            Way(kind: "gre", isSix: true, overhead: 62),
            Way(kind: "nvgre", isSix: false, overhead: 42),
            Way(kind: "nvgre", isSix: true, overhead: 62),
        ]

        static func topology(_ way: Way) -> String {
            """
            heddle: 1
            hosts:
              alpha: {underlay: "\(way.addresses[0])"}
              beta: {underlay: "\(way.addresses[1])"}
            overlay: {kind: \(way.kind)}
            networks:
              blue: {vni: 10010, mtu: \(way.mtu)}
              green: {vni: 10020, mtu: \(way.mtu)}
            ports:
              web-1: {host: alpha, network: blue, tap: {namespace: web-1, address: [10.9.0.1/24]}}
              web-2: {host: beta, network: blue, tap: {namespace: web-2, address: [10.9.0.2/24]}}
              db-1: {host: alpha, network: green, tap: {namespace: db-1, address: [10.9.0.3/24]}}
              db-2: {host: beta, network: green, tap: {namespace: db-2, address: [10.9.0.4/24]}}
            """
        }

        /// The underlay of a way, with a Heddle on each host.
        static func with(
            _ way: Way, isWire: Bool, _ body: (Lab, Underlay) throws -> Void
        ) throws {
            try Lab.with { lab in
                let length = way.isSix ? 64 : 24
                let underlay = try Underlay(
                    lab,
                    [
                        "alpha": "\(way.addresses[0])/\(length)",
                        "beta": "\(way.addresses[1])/\(length)",
                    ], isWire: isWire)
                let file = try lab.file("hosts.yaml", topology(way))
                let processes = try underlay.hosts.map { try underlay.start($0, file) }
                try body(lab, underlay)
                for (process, host) in zip(processes, underlay.hosts) {
                    #expect(try underlay.finish(process, on: host) == [])
                }
                #expect(try lab.namespaces().sorted() == ["alpha", "beta"])
            }
        }

        @Test(
            "tenants reach their own and nobody else, and what fits in one piece arrives",
            arguments: ways)
        func reach(_ way: Way) throws {
            try Self.with(way, isWire: false) { lab, underlay in
                let blue = [Host("web-1", "10.9.0.1"), Host("web-2", "10.9.0.2")]
                let green = [Host("db-1", "10.9.0.3"), Host("db-2", "10.9.0.4")]
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                #expect(try lab.pings(among: blue + green) == pairs(within: [blue, green]))
                #expect(try underlay.tcp("web-1", to: "web-2", "10.9.0.2") == 20_000_000)
                #expect(try underlay.tcp("web-2", to: "web-1", "10.9.0.1") == 20_000_000)
                let largest = try lab.run(
                    [
                        "ping", "-c", "1", "-W", "1", "-M", "do", "-s", "\(way.mtu - 28)",
                        "10.9.0.2",
                    ], in: "web-1")
                #expect(largest.status == 0, "\(way.mtu) bytes fit: \(largest.text)")
                let tunnel = try #require(try underlay.tunnels(of: "alpha").first)
                #expect(tunnel.name == "\(way.kind):beta" && tunnel.state == .up, "\(tunnel)")
                #expect(tunnel.maximumPacket == way.mtu)
            }
        }
    }
}
