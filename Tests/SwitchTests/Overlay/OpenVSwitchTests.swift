import ControlAPI
import TestSupport
import Testing

extension SystemTests {
    @Suite(
        "Open vSwitch's userspace datapath as the other VTEP",
        .enabled(
            if: OpenVSwitchPeer.isAvailable && ExternalTool.isAvailable("ethtool"),
            "it needs openvswitch-switch and ethtool"))
    struct OpenVSwitch {
        struct Encapsulation: Sendable, CustomTestStringConvertible {
            let kind: String
            let mtu: Int

            var testDescription: String { kind }
        }

        static let encapsulations = [
            Encapsulation(kind: "vxlan", mtu: 1450), Encapsulation(kind: "geneve", mtu: 1450),
            // Four bytes less than the 1458 that fit: with options:csum its GRE has a checksum.
            Encapsulation(kind: "gre", mtu: 1454),
        ]

        @Test("tenants reach each other both ways, by ping and TCP", arguments: encapsulations)
        func reach(_ encapsulation: Encapsulation) throws {
            let (kind, mtu) = (encapsulation.kind, encapsulation.mtu)
            try Lab.with { lab in
                // A wire: Open vSwitch's userspace datapath takes a checksum that a veth pair was to
                // complete for a wrong one.
                let underlay = try Underlay(
                    lab, ["alpha": "192.0.2.1/24", "beta": "192.0.2.2/24"], isWire: true)
                let peer = try OpenVSwitchPeer(lab, "beta", "192.0.2.2/24")
                try peer.addTunnel(kind, 10010, to: "192.0.2.1")
                try peer.addTenant("web-2", "10.9.0.2/24", mtu: mtu)
                let file = try lab.file(
                    "hosts.yaml",
                    """
                    heddle: 1
                    hosts:
                      alpha: {underlay: 192.0.2.1}
                      beta: {underlay: 192.0.2.2, networks: [blue]}
                    overlay: {kind: \(kind)}
                    networks: {blue: {vni: 10010, mtu: \(mtu)}}
                    ports:
                      web-1:
                        host: alpha
                        network: blue
                        tap: {namespace: web-1, address: [10.9.0.1/24]}
                    """)
                let process = try underlay.start("alpha", file)
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                #expect(try underlay.pings("web-2", "10.9.0.1"))
                #expect(try underlay.tcp("web-1", to: "web-2", "10.9.0.2") == 20_000_000)
                #expect(try underlay.tcp("web-2", to: "web-1", "10.9.0.1") == 20_000_000)
                let largest = try lab.run(
                    ["ping", "-c", "1", "-W", "1", "-M", "do", "-s", "\(mtu - 28)", "10.9.0.2"],
                    in: "web-1")
                #expect(largest.status == 0, "\(mtu) bytes fit: \(largest.text)")

                let mac = try Underlay.mac(of: "tenant", in: "web-2", lab)
                let entry = try #require(
                    try underlay.fdb(of: "alpha").first { $0.mac == mac })
                #expect(entry.port == "\(kind):beta" && entry.vtep == "192.0.2.2", "\(entry)")
                #expect(try underlay.finish(process, on: "alpha") == [])
            }
        }
    }
}
