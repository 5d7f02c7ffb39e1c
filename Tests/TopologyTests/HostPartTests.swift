import Testing
import Wire

@testable import Topology

@Suite("A host's part of a topology")
struct HostPartTests {
    private func decode(_ body: String) throws -> Topology {
        try Topology.decode("heddle: 1\n" + body, file: "t.yaml")
    }

    private static let lab = """
        hosts:
          alpha: {underlay: 192.0.2.1, vlans: {blue: 40}}
          beta: {underlay: 192.0.2.2}
          gamma: {underlay: 192.0.2.3, overlay: {kind: geneve}, networks: [blue]}
          delta: {underlay: 192.0.2.4}
        overlay: {port: 8472}
        networks:
          blue: {vlan: 10, vni: 10010}
          green: {vlan: 20, vni: 10020, overlay: {kind: gre}}
          red: {vlan: 30, vni: 10030}
          home: {}
        ports:
          web-1: {host: alpha, trunk: [blue, green], tap: {device: eth0}}
          web-2: {host: beta, network: blue, tap: {device: eth0, mac: 02:00:00:00:00:02}}
          db-2: {host: beta, network: green, static: [02:00:00:00:00:03], tap: {}}
          red-2: {host: beta, network: red, tap: {mac: 02:00:00:00:00:04}}
          red-4: {host: delta, network: red, tap: {}}
          home-1: {host: alpha, network: home, tap: {address: [10.0.0.1/24]}}
          home-2: {host: beta, network: home, tap: {address: [10.0.0.1/24]}}

        """

    @Test("is its ports, its VLAN IDs, and a tunnel for each other host and encapsulation")
    func part() throws {
        let part = try decode(Self.lab).part(of: "alpha")
        #expect(part.host?.name == "alpha")
        #expect(part.topology.ports.map(\.name) == ["web-1", "home-1"])
        #expect(part.topology.networks.map { $0.vlan?.rawValue } == [40, 20, 30, nil])
        #expect(part.tunnels.map(\.name) == ["vxlan-8472:beta", "gre:beta", "geneve:gamma"])
        #expect(part.tunnels.map(\.networks) == [["blue"], ["green"], ["blue"]])
        #expect(part.tunnels.map(\.remote) == ["192.0.2.2", "192.0.2.2", "192.0.2.3"].map(address))
        #expect(part.tunnels.allSatisfy { $0.local == address("192.0.2.1") })
        #expect(
            part.tunnels.map { $0.staticMACs.map { "\($0.network) \($0.mac)" } }
                == [["blue 02:00:00:00:00:02"], ["green 02:00:00:00:00:03"], []])
        #expect(
            part.underlays.map(\.name) == [
                "underlay:vxlan-8472", "underlay:gre", "underlay:geneve",
            ]
        )
        #expect(part.underlays.map(\.port) == [8472, nil, 6081])
        #expect(try decode(Self.lab).part(of: "delta").tunnels.map(\.name) == ["vxlan-8472:beta"])
    }

    private func address(_ text: String) -> IPAddress {
        guard let address = IPAddress(text) else { preconditionFailure("no address: \(text)") }
        return address
    }

    @Test(
        "is a topology of its own, whose part is the same again",
        arguments: 0..<200 as Range<UInt64>)
    func idempotent(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let topology = Topology.random(using: &generator)
        var seen: Set<String> = []
        for host in topology.hosts {
            let part = try topology.part(of: host.name)
            #expect(seen.isDisjoint(with: part.topology.ports.map(\.name)))
            seen.formUnion(part.topology.ports.map(\.name))
            let stored = try Topology.decode(part.topology.yaml, file: "t.yaml")
            #expect(stored == part.topology)
            let again = try stored.part(of: host.name)
            #expect(again.topology == part.topology)
            var bare = part.tunnels
            for index in bare.indices { bare[index].staticMACs = [] }
            #expect(again.tunnels == bare)
            #expect(again.underlays == part.underlays)
        }
        if !topology.hosts.isEmpty { #expect(seen == Set(topology.ports.map(\.name))) }
    }

    @Test(
        "has each tunnel at both ends, of the same kind and with the same networks",
        arguments: 0..<200 as Range<UInt64>)
    func symmetry(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let topology = Topology.random(using: &generator)
        let parts = try topology.hosts.map { try topology.part(of: $0.name) }
        for part in parts {
            guard let host = part.host else { continue }
            for tunnel in part.tunnels {
                let other = try #require(parts.first { $0.host?.name == tunnel.host })
                let back = other.tunnels.first {
                    $0.host == host.name && $0.encapsulation == tunnel.encapsulation
                }
                #expect(back?.networks == tunnel.networks)
                #expect(back?.local == tunnel.remote && back?.remote == tunnel.local)
                #expect(!tunnel.networks.isEmpty)
                for name in tunnel.networks { #expect(topology.network(named: name)?.vni != nil) }
            }
            // One encapsulation for each network and other host: no frame travels twice.
            let pairs = part.tunnels.flatMap { tunnel in tunnel.networks.map { [$0, tunnel.host] } }
            #expect(Set(pairs).count == pairs.count)
            #expect(Set(part.tunnels.map(\.name)).count == part.tunnels.count)
        }
    }

    @Test("is everything where there are no hosts")
    func whole() throws {
        let topology = try decode(
            "networks: {blue: {vni: 5}}\nports: {a: {network: blue, tap: {}}}")
        let part = try topology.part(of: "anything")
        #expect(part == HostPart(whole: topology))
        #expect(part.topology == topology)
        #expect(part.tunnels.isEmpty && part.underlays.isEmpty && part.host == nil)
    }

    @Test("is found at once among many: 100 hosts, 1000 networks on each, 10000 ports")
    func large() throws {
        var topology = Topology()
        topology.networks = (0..<1000).map {
            NetworkSpec(name: "net-\($0)", vlan: VLANID($0 + 1), vni: UInt32($0 + 1))
        }
        let names = topology.networks.map(\.name)
        topology.hosts = (0..<100).map {
            HostSpec(
                name: "host-\($0)", underlay: address("192.0.2.\($0 + 1)"), networks: names)
        }
        topology.ports = (0..<10_000).map {
            PortSpec(
                name: "port-\($0)", host: "host-\($0 % 100)",
                membership: .access(network: names[$0 / 10]), attachment: .tap(TAPSpec()),
                staticMACs: [MACAddress(rawValue: 0x0200_0000_0000 + UInt64($0))])
        }
        let began = ContinuousClock.now
        let part = try topology.part(of: "host-0")
        let plan = try Plan.make(desired: part, observed: Observed())
        // A second in a debug build; on a busy machine more.
        #expect(ContinuousClock.now - began < .seconds(10))
        #expect(part.tunnels.count == 99)
        #expect(part.tunnels.allSatisfy { $0.networks.count == 1000 && $0.staticMACs.count == 100 })
        #expect(plan.actions.count == 1000 + 100 + 99)
    }

    @Test("is refused to a host that the topology does not know")
    func unknownHost() throws {
        let topology = try decode(Self.lab)
        let rows = [
            ("betta", "the topology has no host 'betta' (did you mean 'beta'?): "),
            (
                "vm17",
                "the topology has no host 'vm17'; it has 'alpha', 'beta', 'gamma' and 'delta': "
            ),
        ]
        for (name, text) in rows {
            let error = #expect(throws: HostPartError.self) { try topology.part(of: name) }
            #expect(
                error?.description
                    == text + "say which of its hosts this is with 'heddle run --host NAME'")
        }
    }

    @Test("takes the network's encapsulation before the hosts', and theirs before the topology's")
    func precedence() throws {
        for (network, left, right, expected) in [
            ("", "", "", "vxlan-8472"),
            ("", "geneve", "", "geneve"),
            ("", "", "geneve", "geneve"),
            ("", "geneve", "geneve", "geneve"),
            ("gre", "geneve", "", "gre"),
            ("gre", "geneve", "vxlan", "gre"),
        ] {
            func overlay(_ kind: String) -> String {
                kind.isEmpty ? "" : ", overlay: {kind: \(kind)}"
            }
            let topology = try decode(
                """
                overlay: {port: 8472}
                networks: {blue: {vni: 5000\(overlay(network))}}
                hosts:
                  a: {underlay: 192.0.2.1, networks: [blue]\(overlay(left))}
                  b: {underlay: 192.0.2.2, networks: [blue]\(overlay(right))}
                """)
            let names = try topology.part(of: "a").tunnels.map(\.encapsulation.name)
            #expect(names == [expected], "\(network), \(left), \(right)")
        }
    }

    @Test("may use what an encapsulation nobody uses would forbid")
    func unused() throws {
        // VXLAN's port for Geneve, where every network is Geneve's.
        _ = try decode("networks: {blue: {vni: 5, overlay: {kind: geneve, port: 4789}}}")
        // A VNI that NVGRE reserves, where all hosts in the network have another kind.
        _ = try decode(
            """
            overlay: {kind: nvgre}
            networks: {blue: {vni: 5}}
            hosts:
              a: {underlay: 192.0.2.1, networks: [blue], overlay: {kind: vxlan}}
              b: {underlay: 192.0.2.2, networks: [blue], overlay: {kind: vxlan}}
            """)
        // Devices, MAC and IP addresses of networks without a VNI are each host's own.
        _ = try decode(
            """
            networks: {home: }
            hosts: {a: {underlay: 192.0.2.1}, b: {underlay: "fd00::1"}}
            ports:
              x: {host: a, network: home, tap: {device: e, mac: 02:00:00:00:00:01, address: [10.0.0.1/8]}}
              y: {host: b, network: home, tap: {device: e, mac: 02:00:00:00:00:01, address: [10.0.0.1/8]}}
            """)
        // VLAN IDs that two networks exchange on a host; a trunk of a network tagged there only.
        let swapped = try decode(
            """
            networks: {blue: {vlan: 10}, green: {vlan: 20}, plain: }
            hosts: {a: {underlay: 192.0.2.1, vlans: {blue: 20, green: 10, plain: 30}}}
            ports: {x: {host: a, trunk: [10, plain], tap: {}}}
            """)
        #expect(swapped.ports[0].membership == .trunk(networks: ["green", "plain"], native: nil))
        #expect(
            try swapped.part(of: "a").topology.networks.map { $0.vlan?.rawValue } == [20, 10, 30])
    }

    @Test("has room in the underlay's packets as the RFCs say", arguments: OverlayKind.allCases)
    func overhead(_ kind: OverlayKind) {
        let (v4, v6) = (address("192.0.2.1"), address("fd00::1"))
        let isUDP = kind == .vxlan || kind == .geneve
        #expect(Overhead(kind, over: v4).byteCount == (isUDP ? 50 : 42))
        #expect(Overhead(kind, over: v6).byteCount == (isUDP ? 70 : 62))
        #expect(
            Overhead(kind, over: v4).maximumPacketByteCount(underlayMTU: 1500)
                == (isUDP ? 1450 : 1458))
        #expect(Overhead(kind, over: v6).maximumPacketByteCount(underlayMTU: 40) == 0)
        // Of a loopback device's 65,536 bytes an IPv4 packet has at most 65,535.
        #expect(
            Overhead(kind, over: v4).maximumPacketByteCount(underlayMTU: 65_536)
                == (isUDP ? 65_485 : 65_493))
    }

    @Test("comes with notes of what may not be meant")
    func notes() throws {
        let topology = try decode(Self.lab)
        let text =
            "network 'home' has ports on hosts 'alpha' and 'beta' but no 'vni', so they do not "
            + "reach each other"
        #expect(topology.notes.map { $0.line(file: "t.yaml") } == ["t.yaml:12:3: note: \(text)"])
        let plan = try Plan.make(desired: topology.part(of: "alpha"), observed: Observed())
        #expect(plan.notes == [text])
        let lonely = try decode("overlay: {kind: geneve}")
        #expect(
            lonely.notes.map(\.message) == ["'overlay' has no effect: the topology has no 'hosts'"])
    }

    @Test("draws its hosts and tunnels for Mermaid")
    func mermaid() throws {
        let topology = try decode(
            """
            hosts: {alpha: {underlay: 192.0.2.1}, beta: {underlay: 192.0.2.2}}
            networks: {blue: {vni: 5}}
            ports: {a: {host: alpha, network: blue, tap: {}}, b: {host: beta, network: blue, tap: {}}}
            """)
        #expect(
            topology.mermaid == """
                graph LR
                    n0(["blue<br/>vni 5"])
                    subgraph h0["alpha<br/>192.0.2.1"]
                        p0["a<br/>tap"]
                    end
                    subgraph h1["beta<br/>192.0.2.2"]
                        p1["b<br/>tap"]
                    end
                    p0 --- n0
                    p1 --- n0
                    h0 ===|"vxlan<br/>blue"| h1

                """)
    }

    @Test("is planned: tunnels are added, changed and removed by what they carry")
    func plan() throws {
        let before = try decode(Self.lab)
        let after = try decode(
            Self.lab.replacing("overlay: {port: 8472}", with: "overlay: {port: 8472, probe: true}")
                .replacing("gamma: {underlay: 192.0.2.3", with: "gamma: {underlay: 192.0.2.9")
                .replacing(
                    "web-2: {host: beta, network: blue", with: "web-2: {host: delta, network: blue"
                )
                .replacing(
                    "green: {vlan: 20, vni: 10020, overlay: {kind: gre}}",
                    with: "green: {vlan: 20, vni: 10020}"))
        var observed = Observed()
        let part = try before.part(of: "alpha")
        observed.networks = part.topology.networks
        observed.ports = part.topology.ports.map { ObservedPort(spec: $0) }
        observed.tunnels = part.tunnels
        #expect(try Plan.make(desired: part, observed: observed).isEmpty)
        #expect(
            try Plan.make(desired: after.part(of: "alpha"), observed: observed).lines == [
                "~ tunnels: probe off → on",
                "- tunnel gre:beta",
                "~ tunnel vxlan-8472:beta: now with network green, no longer with network blue, other static addresses",
                "~ tunnel geneve:gamma: to 192.0.2.3 → 192.0.2.9",
                "+ tunnel vxlan-8472:delta: 192.0.2.1 → 192.0.2.4, network blue",
                "~ network green: overlay gre → none (port web-1)",
            ])
    }

    @Test("says which networks do not fit the underlay, and what would")
    func fit() throws {
        let part = try decode(Self.lab).part(of: "alpha")
        func notes(_ mtus: [String: Int]) throws -> [String] {
            let observed = Observed(underlayMTUs: mtus)
            return try Plan.make(desired: part, observed: observed).notes
                .filter { !$0.contains("'home'") }
        }
        #expect(try notes([:]) == [])
        #expect(try notes(["vxlan-8472:beta": 1550, "gre:beta": 1542, "geneve:gamma": 1550]) == [])
        #expect(
            try notes(["vxlan-8472:beta": 1500, "gre:beta": 1500, "geneve:gamma": 1400]) == [
                "network 'blue': mtu 1500 does not fit the underlay (geneve:gamma: 1350 does; "
                    + "1 more tunnel too small); set 'mtu: 1350', or raise the underlay's MTU to "
                    + "1550",
                "network 'green': mtu 1500 does not fit the underlay (gre:beta: 1458 does); set "
                    + "'mtu: 1458', or raise the underlay's MTU to 1542",
            ])
        #expect(
            try notes(["gre:beta": 100]) == [
                "network 'green': mtu 1500 does not fit the underlay (gre:beta: nothing does): "
                    + "raise the underlay's MTU to 1542"
            ])
    }
}
