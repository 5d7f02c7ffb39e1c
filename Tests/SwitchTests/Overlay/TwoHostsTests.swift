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

        /// The examples whose topology has hosts: who is in one network with whom.
        struct Example: Sendable, CustomTestStringConvertible {
            let name: String
            let hosts: KeyValuePairs<String, String>
            let networks: [[Host]]

            var testDescription: String { name }
        }

        static let examples = [
            Example(
                name: "two-hosts-vxlan",
                hosts: ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"],
                networks: [
                    [Host("web-1", "10.50.0.1"), Host("web-2", "10.50.0.2")],
                    [Host("db-1", "10.50.0.3"), Host("db-2", "10.50.0.4")],
                ]),
            Example(
                name: "three-hosts-geneve",
                hosts: [
                    "alpha": "192.0.2.1/24", "beta": "192.0.2.2/24", "gamma": "192.0.2.3/24",
                ],
                networks: [
                    [
                        Host("web-1", "10.51.0.1"), Host("web-2", "10.51.0.2"),
                        Host("web-3", "10.51.0.3"),
                    ],
                    [Host("db-1", "10.51.0.4"), Host("db-3", "10.51.0.5")],
                ]),
            Example(
                name: "two-hosts-gre", hosts: ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"],
                networks: [
                    [
                        Host("web-1", "10.52.0.1"), Host("web-2", "10.52.0.2"),
                        Host("fw-1", "10.52.0.254"),
                    ], [Host("db-2", "10.52.0.3")],
                ]),
            Example(
                name: "ipv6-underlay",
                hosts: ["alpha": "fd00:db8::1/64", "beta": "fd00:db8::2/64"],
                networks: [
                    [Host("web-1", "10.53.0.1"), Host("web-2", "10.53.0.2")],
                    [Host("db-1", "10.53.0.3"), Host("db-2", "10.53.0.4")],
                    [Host("log-1", "10.54.0.1"), Host("log-2", "10.54.0.2")],
                ]),
        ]

        @Test("each example does on its hosts what it says", arguments: examples)
        func example(_ example: Example) throws {
            try Lab.with { lab in
                let underlay = try Underlay(lab, example.hosts)
                let file = SystemTests.example(example.name)
                let processes = try underlay.hosts.map { try underlay.start($0, file) }
                for network in example.networks {
                    for host in network.dropFirst() {
                        #expect(try underlay.pings(network[0].namespace, host.address))
                    }
                }
                let all = example.networks.flatMap { $0 }
                #expect(try lab.pings(among: all) == pairs(within: example.networks))
                #expect(try lab.connections(among: all) == pairs(within: example.networks))
                for (process, host) in zip(processes, underlay.hosts) {
                    let plan = try underlay.heddle(on: host, "topology", "plan", file)
                    #expect(plan.status == 0, "nothing to do: \(plan.text)\(plan.standardError)")
                    #expect(try underlay.finish(process, on: host) == [])
                }
                #expect(try lab.namespaces().sorted() == underlay.hosts.sorted())
            }
        }
    }
}
