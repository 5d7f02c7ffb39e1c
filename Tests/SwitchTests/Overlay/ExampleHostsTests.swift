import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// The examples that have hosts, each host a namespace with a Heddle of its own.
    @Suite("Examples over several hosts")
    struct ExampleHosts {
        /// A port of an example, which has the names of its namespace and its device.
        struct Member: Sendable {
            let name: String
            let host: String
            let address: String

            init(_ name: String, on host: String, _ address: String) {
                (self.name, self.host, self.address) = (name, host, address)
            }

            var asHost: Host { Host(name, address) }
        }

        struct Example: Sendable, CustomTestStringConvertible {
            let name: String
            let kind: String
            let hosts: KeyValuePairs<String, String>
            let networks: [[Member]]

            var testDescription: String { name }
            /// A host's underlay address.
            func address(of host: String) -> String? {
                hosts.first { $0.key == host }.map { String($0.value.prefix { $0 != "/" }) }
            }
        }

        static let examples = [
            Example(
                name: "two-hosts-vxlan", kind: "vxlan",
                hosts: ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"],
                networks: [
                    [
                        Member("web-1", on: "alpha", "10.50.0.1"),
                        Member("web-2", on: "beta", "10.50.0.2"),
                    ],
                    [
                        Member("db-1", on: "alpha", "10.50.0.3"),
                        Member("db-2", on: "beta", "10.50.0.4"),
                    ],
                ]),
            Example(
                name: "three-hosts-geneve", kind: "geneve",
                hosts: [
                    "alpha": "192.0.2.1/24", "beta": "192.0.2.2/24", "gamma": "192.0.2.3/24",
                ],
                networks: [
                    [
                        Member("web-1", on: "alpha", "10.51.0.1"),
                        Member("web-2", on: "beta", "10.51.0.2"),
                        Member("web-3", on: "gamma", "10.51.0.3"),
                    ],
                    [
                        Member("db-1", on: "alpha", "10.51.0.4"),
                        Member("db-3", on: "gamma", "10.51.0.5"),
                    ],
                ]),
            Example(
                name: "two-hosts-gre", kind: "gre",
                hosts: ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"],
                networks: [
                    [
                        Member("web-1", on: "alpha", "10.52.0.1"),
                        Member("web-2", on: "beta", "10.52.0.2"),
                        Member("fw-1", on: "alpha", "10.52.0.254"),
                    ],
                    [Member("db-2", on: "beta", "10.52.0.3")],
                ]),
            Example(
                name: "ipv6-underlay", kind: "vxlan",
                hosts: ["alpha": "fd00:db8::1/64", "beta": "fd00:db8::2/64"],
                networks: [
                    [
                        Member("web-1", on: "alpha", "10.53.0.1"),
                        Member("web-2", on: "beta", "10.53.0.2"),
                    ],
                    [
                        Member("db-1", on: "alpha", "10.53.0.3"),
                        Member("db-2", on: "beta", "10.53.0.4"),
                    ],
                    [
                        Member("log-1", on: "alpha", "10.54.0.1"),
                        Member("log-2", on: "alpha", "10.54.0.2"),
                    ],
                ]),
        ]

        @Test(
            "every pair of a network talks, tenants do not, nothing is dropped, and nothing stays",
            arguments: examples)
        func example(_ example: Example) throws {
            try Lab.with { lab in
                let underlay = try Underlay(lab, example.hosts)
                let file = SystemTests.example(example.name)
                let processes = try underlay.hosts.map { try underlay.start($0, file) }
                try waitUntilUp(underlay)
                let before = try underlay.hosts.map { try underlay.drops(on: $0) }

                let all = example.networks.flatMap { $0.map(\.asHost) }
                let expected = pairs(within: example.networks.map { $0.map(\.asHost) })
                #expect(try lab.pings(among: all) == expected)
                #expect(try lab.transfers(among: all) == expected)
                if example.name == "ipv6-underlay" {
                    let six = try lab.run(["ping", "-c", "3", "fd00:53::2"], in: "web-1")
                    #expect(six.status == 0, "\(six.text)")
                }
                try checkFDB(example, underlay)
                try checkFloods(example, underlay)

                for (host, before) in zip(underlay.hosts, before) {
                    let plan = try underlay.heddle(on: host, "topology", "plan", file)
                    #expect(plan.status == 0, "nothing to do: \(plan.text)\(plan.standardError)")
                    #expect(try underlay.drops(on: host) == before, "dropped on \(host)")
                }
                try underlay.end(processes)
            }
        }

        /// Probes and neighbours have settled when all tunnels are up.
        private func waitUntilUp(_ underlay: Underlay) throws {
            for host in underlay.hosts {
                var tunnels: [TunnelInfo] = []
                for _ in 0..<50 {
                    tunnels = try underlay.tunnels(of: host)
                    if tunnels.allSatisfy({ $0.state == .up && $0.probe != .unprobed }) { break }
                    usleep(100_000)
                }
                #expect(tunnels.count == underlay.hosts.count - 1)
                #expect(
                    tunnels.allSatisfy { $0.state == .up && $0.probe != .unprobed }, "\(tunnels)")
            }
        }

        /// Who lives on another host is behind the tunnel to it, on every host of its network.
        private func checkFDB(_ example: Example, _ underlay: Underlay) throws {
            for host in underlay.hosts {
                let entries = try underlay.fdb(of: host)
                for network in example.networks where network.contains(where: { $0.host == host }) {
                    for member in network {
                        let mac = try underlay.port(member.name, on: member.host).mac
                        let entry = entries.first { $0.mac == mac }
                        let isRemote = member.host != host
                        #expect(
                            entry?.port
                                == (isRemote ? "\(example.kind):\(member.host)" : member.name),
                            "\(member.name) on \(host)")
                        #expect(entry?.vtep == (isRemote ? example.address(of: member.host) : nil))
                    }
                }
            }
        }

        /// A broadcast of each member is sent once to each other host of its network and to no host
        /// more, and each port of the network gets it once.
        private func checkFloods(_ example: Example, _ underlay: Underlay) throws {
            let members = example.networks.flatMap { $0 }
            let tenants = try members.map {
                try underlay.lab.peer(["watch", $0.name, "ff:ff:ff:ff:ff:ff"], in: $0.name)
            }
            let wires = try underlay.hosts.map {
                try underlay.lab.peer(["watch", Underlay.device], in: $0)
            }
            let markers = members.indices.map { "c\($0)" }
            for (sender, marker) in zip(members, markers) {
                let mac = try #require(try underlay.port(sender.name, on: sender.host).mac)
                try underlay.send(
                    [Underlay.broadcast(from: mac, marker: marker)], by: sender.name,
                    in: sender.name)
            }
            usleep(300_000)
            for peer in tenants + wires { try peer.finish() }

            for (sender, marker) in zip(members, markers) {
                let network = try #require(
                    example.networks.first { $0.contains { $0.name == sender.name } })
                // fw-1 is a trunk, and hears the networks that it has besides its native one.
                let hearers =
                    network
                    + (example.name == "two-hosts-gre" ? members.filter { $0.name == "fw-1" } : [])
                let names = Set(hearers.map(\.name)).subtracting([sender.name])
                for (member, tenant) in zip(members, tenants) {
                    #expect(
                        try LoggedFrame.count(in: tenant, with: marker)
                            == (names.contains(member.name) ? 1 : 0),
                        "from \(sender.name) to \(member.name)")
                }
                let remotes = Set(hearers.map(\.host)).subtracting([sender.host])
                for (host, wire) in zip(underlay.hosts, wires) {
                    #expect(
                        try LoggedFrame.count(in: wire, with: marker)
                            == (remotes.contains(host) ? 1 : 0),
                        "from \(sender.name) to host \(host)")
                }
            }
        }
    }
}

extension Lab {
    /// Opens a TCP connection from every host to every other, all at once, and sends a megabyte
    /// through it; who got all of it right.
    func transfers(among hosts: [Host]) throws -> Reached {
        let listeners = try Set(hosts.map(\.namespace)).map {
            try peer(["tcp-receive", "7000"], in: $0)
        }
        defer { for listener in listeners { _ = try? listener.finish() } }
        var script = ""
        for from in hosts {
            for to in hosts where to != from {
                script +=
                    "(nsenter --net=/run/netns/\(from.namespace) \(Lab.peerPath) tcp-send "
                    + "\(to.address) 7000 1000000 2>/dev/null | grep -q '\"acknowledged\":1000000' "
                    + "&& echo '\(from.namespace) > \(to.namespace)' || true) &\n"
            }
        }
        return Set(try sh(script + "wait").split(separator: "\n").map(String.init))
    }
}
