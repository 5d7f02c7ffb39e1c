import Testing

@testable import Topology

/// A file with hosts alpha and beta and with networks blue (VNI 10), green (VNI 20) and home (no
/// VNI); `more` follows from line 4.
private func hostFile(_ more: String) -> String {
    """
    heddle: 1
    hosts: {alpha: {underlay: 192.0.2.1}, beta: {underlay: 192.0.2.2}}
    networks: {blue: {vlan: 10, vni: 10}, green: {vlan: 20, vni: 20}, home: {vlan: 30}}
    \(more)

    """
}

/// A file with those networks, and the given hosts from line 4.
private func networkFile(_ hosts: String) -> String {
    """
    heddle: 1
    networks: {blue: {vlan: 10, vni: 10}, green: {vlan: 20, vni: 20}, home: {vlan: 30}}
    hosts:
    \(hosts)

    """
}

private let underlayExpectation = "must be an IP address such as 192.0.2.1 or 2001:db8::1"
private let reachable = "'underlay' must be an address by which other hosts reach this one, and"

extension BadFile {
    static let overlay: [BadFile] = [
        // Hosts.
        BadFile(
            networkFile("  alpha: {}"),
            "4:3: host 'alpha': 'underlay' is missing: it \(underlayExpectation)"
        ),  // a host without an underlay
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2}"),
            "4:21: host 'alpha': 'underlay' \(underlayExpectation), not '192.0.2'"
        ),  // half an address
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1/24}"),
            "4:21: host 'alpha': 'underlay' \(underlayExpectation), not '192.0.2.1/24'"
        ),  // a prefix, which is the kernel's business
        BadFile(
            networkFile("  alpha: {underlay: 224.0.0.1}"),
            "4:21: host 'alpha': \(reachable) 224.0.0.1 is a group address"),  // multicast
        BadFile(
            networkFile("  alpha: {underlay: 0.0.0.0}"),
            "4:21: host 'alpha': \(reachable) 0.0.0.0 is no address"),  // unspecified
        BadFile(
            networkFile("  alpha: {underlay: 127.0.0.1}"),
            "4:21: host 'alpha': \(reachable) 127.0.0.1 does not leave its host"),  // loopback
        BadFile(
            networkFile("  alpha: {underlay: \"::1\"}"),
            "4:21: host 'alpha': \(reachable) ::1 does not leave its host"),  // loopback of IPv6
        BadFile(
            networkFile("  alpha: {underlay: 255.255.255.255}"),
            "4:21: host 'alpha': \(reachable) 255.255.255.255 is everybody's"),  // broadcast
        BadFile(
            networkFile("  alpha: {underlay: \"fe80::1\"}"),
            "4:21: host 'alpha': \(reachable) fe80::1 means another host on each link"
        ),  // link-local, which needs an interface
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1}\n  beta: {underlay: 192.0.2.1}"),
            "5:20: host 'beta': 192.0.2.1 is the underlay of host 'alpha' already (line 4): give each host an address of its own"
        ),  // one address for two hosts
        BadFile(
            networkFile(
                "  alpha: {underlay: \"fd00::1\"}\n  beta: {underlay: \"fd00:0::1\"}"),
            "5:20: host 'beta': fd00::1 is the underlay of host 'alpha' already (line 4): give each host an address of its own"
        ),  // one address, spelled in two ways
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1}\n  alpha: {underlay: 192.0.2.2}"),
            "5:3: key 'alpha' appears twice; the first is at 4:3"),  // a host twice
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, network: [blue]}"),
            "4:32: host 'alpha': unknown key 'network' (did you mean 'networks'?)"
        ),  // a misspelt key
        BadFile(
            networkFile(
                "  alpha: {underlay: 192.0.2.1, networks: [blue]}\n  beta: {underlay: \"fd00::2\", networks: [blue]}"
            ),
            "5:20: host 'beta': fd00::2 cannot reach host 'alpha' at 192.0.2.1 (line 4), which is in network 'blue' too: give both an IPv4 or both an IPv6 underlay"
        ),  // IPv4 and IPv6 in one network

        // What hosts say of networks.
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, networks: [bleu]}"),
            "4:43: host 'alpha': network 'bleu' is not declared (did you mean 'blue'?)"
        ),  // a network that is not declared
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, networks: [home]}"),
            "4:43: host 'alpha': network 'home' has no VNI, so it does not leave a host: give it one with 'vni:' (line 2)"
        ),  // a network that does not leave a host
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, networks: [blue, 10]}"),
            "4:49: host 'alpha': network 'blue' is in 'networks' twice, once by its VLAN"
        ),  // a network by name and by VLAN
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, vlans: {bleu: 40}}"),
            "4:40: host 'alpha': vlans: network 'bleu' is not declared (did you mean 'blue'?)"
        ),  // a VLAN ID for a network that is not declared
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, vlans: {blue: 4095}}"),
            "4:46: host 'alpha': vlans: 'blue' must be a VLAN ID from 1 to 4094: VLAN 4095 is reserved (IEEE 802.1Q)"
        ),  // a reserved VLAN ID
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, vlans: [blue]}"),
            "4:39: host 'alpha': 'vlans' must be a mapping from networks to VLAN IDs, such as {blue: 20}, not a list"
        ),  // a list for a mapping
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, vlans: {blue: 20}}"),
            "4:46: host 'alpha': vlans: VLAN 20 is network 'green' already (line 2)"
        ),  // the VLAN ID of another network
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, vlans: {blue: 40, green: 40}}"),
            "4:57: host 'alpha': vlans: VLAN 40 is network 'blue' already (line 4)"
        ),  // one VLAN ID for two networks
        BadFile(
            networkFile("  alpha: {underlay: 192.0.2.1, vlans: {blue: 40}}")
                + "ports: {a: {host: alpha, network: 10, tap: {}}}",
            "5:35: port 'a': VLAN 10 has no network on host 'alpha', where network 'blue' has VLAN 40 (line 4): name the network"
        ),  // a VLAN ID that is the network's elsewhere
        BadFile(
            networkFile(
                "  alpha: {underlay: 192.0.2.1, vlans: {blue: 40}}\n  beta: {underlay: 192.0.2.2}")
                + "ports: {a: {host: beta, network: 40, tap: {}}}",
            "6:34: port 'a': VLAN 40 has no network here, and is another one's on host 'alpha' (line 4): name a network"
        ),  // a VLAN ID that is another network's elsewhere

        // Ports and their hosts.
        BadFile(
            hostFile("ports: {a: {host: alhpa, network: blue, tap: {}}}"),
            "4:19: port 'a': host 'alhpa' is not declared (did you mean 'alpha'?)"
        ),  // a misspelt host
        BadFile(
            hostFile("ports: {a: {host: zebra, network: blue, tap: {}}}"),
            "4:19: port 'a': host 'zebra' is not declared; declared are 'alpha' and 'beta'"
        ),  // a host like no other
        BadFile(
            hostFile("ports: {a: {network: blue, tap: {}}}"),
            "4:9: port 'a': 'host' is missing: the topology has hosts, and a port is on one of them"
        ),  // a port that is nowhere
        BadFile(
            "heddle: 1\nnetworks: {blue: }\nports: {a: {host: alpha, network: blue, tap: {}}}\n",
            "3:19: port 'a': host 'alpha' is not declared: declare it in 'hosts:', or leave 'host' out"
        ),  // a host where there are none
        BadFile(
            hostFile(
                "ports:\n  a: {host: alpha, network: blue, tap: {address: [10.0.0.1/24]}}\n  b: {host: beta, network: blue, tap: {address: [10.0.0.1/24]}}"
            ),
            "6:50: port 'b': tap: 10.0.0.1 on network 'blue' belongs to port 'a' already (line 5)"
        ),  // one IP address on two hosts of a network
        BadFile(
            hostFile(
                "ports:\n  a: {host: alpha, network: blue, tap: {mac: 02:00:00:00:00:01}}\n  b: {host: beta, network: blue, tap: {}, static: [02:00:00:00:00:01]}"
            ),
            "6:52: port 'b': 02:00:00:00:00:01 on network 'blue' belongs to port 'a' already (line 5)"
        ),  // one MAC address on two hosts of a network
        BadFile(
            hostFile(
                "ports:\n  a: {host: beta, network: blue, tap: {device: x}}\n  b: {host: beta, network: blue, tap: {device: x}}"
            ),
            "6:48: port 'b': device 'x' in the switch's namespace belongs to port 'a' (line 5): give one of them another 'device'"
        ),  // a device twice on one host

        // Networks between hosts.
        BadFile(
            "heddle: 1\nnetworks:\n  blue: {vni: 10}\n  green: {vni: 10}\n",
            "4:16: network 'green': VNI 10 is network 'blue' already (line 3)"),  // a VNI twice
        BadFile(
            "heddle: 1\nnetworks: {blue: {vni: 0}}\n",
            "2:24: network 'blue': 'vni' must be a whole number from 1 to 16777215, not '0'"
        ),  // VNI 0
        BadFile(
            "heddle: 1\nnetworks: {blue: {vni: 16777216}}\n",
            "2:24: network 'blue': 'vni' must be a whole number from 1 to 16777215, not '16777216'"
        ),  // a VNI past 24 bits
        BadFile(
            "heddle: 1\nnetworks: {blue: {vni: 4095, overlay: {kind: nvgre}}}\n",
            "2:24: network 'blue': nvgre reserves VNI 4095 (RFC 7637): use 4096 to 16777214"
        ),  // a VNI that NVGRE reserves
        BadFile(
            "heddle: 1\noverlay: {kind: nvgre}\nnetworks: {blue: {vni: 16777215}}\n",
            "3:24: network 'blue': nvgre reserves VNI 16777215 (RFC 7637): use 4096 to 16777214"
        ),  // the other end of it, by the topology's overlay
        BadFile(
            "heddle: 1\nnetworks: {blue: {overlay: {kind: gre}}}\n",
            "2:28: network 'blue': 'overlay' makes sense with 'vni' only: an encapsulation carries the network's VNI"
        ),  // an overlay without a VNI

        // Encapsulations.
        BadFile(
            "heddle: 1\noverlay: {kind: vlxan}\n",
            "2:17: overlay: 'kind' must be 'vxlan', 'geneve', 'gre' or 'nvgre', not 'vlxan' (did you mean 'vxlan'?)"
        ),  // a misspelt kind
        BadFile(
            "heddle: 1\nnetworks: {blue: {vni: 10, overlay: {port: 8472}}}\n",
            "2:37: network 'blue': overlay: 'kind' is missing: it must be 'vxlan', 'geneve', 'gre' or 'nvgre'"
        ),  // a port of no kind
        BadFile(
            "heddle: 1\noverlay: {kind: gre, port: 4789}\n",
            "2:28: overlay: gre has no ports: leave 'port' out"),  // a port for GRE
        BadFile(
            "heddle: 1\noverlay: {port: 0}\n",
            "2:17: overlay: 'port' must be a whole number from 1 to 65535, not '0'"),  // port 0
        BadFile(
            "heddle: 1\noverlay: {probe-interval: 200ms}\n",
            "2:27: overlay: 'probe-interval' must be a whole number from 50 to 10000, not '200ms'"
        ),  // a unit
        BadFile(
            "heddle: 1\nnetworks: {blue: {vni: 10, overlay: {kind: vxlan, probe: true}}}\n",
            "2:51: network 'blue': overlay: unknown key 'probe'; known are 'kind' and 'port'"
        ),  // what holds for all tunnels, on one network
        BadFile(
            "heddle: 1\noverlay: {port: 6081}\nnetworks: {blue: {vni: 10, overlay: {kind: geneve}}}\n",
            "3:37: network 'blue': overlay: UDP port 6081 carries vxlan already (line 2), and cannot carry geneve as well: give one of them another 'port'"
        ),  // one UDP port for two kinds
        BadFile(
            networkFile(
                "  alpha: {underlay: 192.0.2.1, networks: [blue], overlay: {kind: geneve}}\n  beta: {underlay: 192.0.2.2, networks: [blue], overlay: {kind: vxlan, port: 8472}}"
            ),
            "5:58: host 'beta': overlay vxlan-8472 contradicts host 'alpha', which has geneve (line 4), for network 'blue': give both the same, or the network an 'overlay'"
        ),  // two hosts that want different things of one network
        BadFile(
            "heddle: 1\noverlay: {kind: gre}\nhosts:\n  a: {underlay: 192.0.2.1, networks: [blue, green]}\n  b: {underlay: 192.0.2.2, networks: [blue, green]}\nnetworks:\n  blue: {vni: 5000}\n  green: {vni: 5001, overlay: {kind: nvgre}}\n",
            "8:31: network 'green': nvgre between hosts 'a' and 'b', where network 'blue' has gre (line 7): they cannot be told apart, use one of them"
        ),  // GRE and NVGRE between two hosts
    ]
}

@Suite("A wrong topology over hosts is refused")
struct BadOverlayFileTests {
    @Test("with one line that names the place and what would be right", arguments: BadFile.overlay)
    func line(_ file: BadFile) {
        let error = #expect(throws: TopologyError.self) {
            try Topology.decode(file.text, file: "t.yaml")
        }
        #expect(error?.lines == ["t.yaml:\(file.line)"])
    }

    @Test("and says of many hosts' one mistake that it is one")
    func once() {
        let networks = (1...50).map { "  n\($0): {vni: \($0)}\n" }.joined()
        let names = (1...50).map { "n\($0)" }.joined(separator: ", ")
        let text =
            "heddle: 1\nnetworks:\n\(networks)hosts:\n"
            + "  a: {underlay: 192.0.2.1, networks: [\(names)]}\n"
            + "  b: {underlay: \"fd00::1\", networks: [\(names)]}\n"
        let error = #expect(throws: TopologyError.self) {
            try Topology.decode(text, file: "t.yaml")
        }
        #expect(error?.problems.count == 1)
    }

    @Test("and hosts that cannot be read are no reason to doubt the ports'")
    func unreadableHosts() {
        let text =
            "heddle: 1\nhosts: [alpha]\nnetworks: {blue: }\n"
            + "ports: {a: {host: alpha, network: blue, tap: {}}}\n"
        let error = #expect(throws: TopologyError.self) {
            try Topology.decode(text, file: "t.yaml")
        }
        #expect(
            error?.lines == [
                "t.yaml:2:8: 'hosts' must be a mapping from names to hosts, not a list"
            ]
        )
    }

    @Test("when a host has more ports than a switch, and not when all hosts together do")
    func portLimits() throws {
        func text(_ host: (Int) -> String) -> String {
            "heddle: 1\nhosts: {a: {underlay: 192.0.2.1}, b: {underlay: 192.0.2.2}}\n"
                + "networks: {blue: {vni: 10}}\nports:\n"
                + (0..<4200).map { "  p\($0): {host: \(host($0)), network: blue, tap: {}}\n" }
                .joined()
        }
        let topology = try Topology.decode(text { $0 % 2 == 0 ? "a" : "b" }, file: "t.yaml")
        #expect(topology.ports.count == 4200)
        let error = #expect(throws: TopologyError.self) {
            try Topology.decode(text { $0 < 4 ? "a" : "b" }, file: "t.yaml")
        }
        #expect(
            error?.lines == ["t.yaml:2:35: host 'b': 4196 ports are too many: the limit is 4096"])
    }
}
