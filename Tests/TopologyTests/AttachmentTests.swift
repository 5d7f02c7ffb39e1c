import Testing
import Wire

@testable import Topology

@Suite("An attachment")
struct AttachmentTests {
    private func attachment(_ text: String) throws -> PortAttachment {
        let topology = try Topology.decode(
            "heddle: 1\nnetworks: {blue: }\nports:\n  a: {network: blue, \(text)}\n", file: "t")
        return try #require(topology.ports.first).attachment
    }

    @Test(
        "is read from its keys",
        arguments: [
            ("veth: {}", .veth(VethSpec())),  // all by default
            (
                "veth: {namespace: web, device: eth0, mac: 02:00:00:00:00:01, address: [10.0.0.1/24]}",
                .veth(
                    VethSpec(
                        namespace: "web", device: "eth0",
                        mac: MACAddress(rawValue: 0x0200_0000_0001),
                        addresses: [InterfaceAddress("10.0.0.1/24")].compactMap(\.self)))
            ),  // nothing by default
            ("device: {name: vif1.0-emu}", .device(.name("vif1.0-emu"))),  // as Xen calls it
            ("device: {match: {name: vnet*}}", .device(.match(DeviceMatch(name: "vnet*")))),
            ("device: {match: {name: vnet?}}", .device(.match(DeviceMatch(name: "vnet?")))),
            (
                "device: {match: {name: \"*net?\", group: 4294967295, alias: \"web #*\"}}",
                .device(.match(DeviceMatch(name: "*net?", group: .max, alias: "web #*")))
            ),  // all that can be told
            ("device: {match: {alias: \"*\"}}", .device(.match(DeviceMatch(alias: "*")))),
            ("vhost-user: {socket: /run/a}", .vhostUser(VhostUserSpec(socket: "/run/a"))),
            (
                "vhost-user: {socket: /a, mode: server, queues: 16, user: libvirt-qemu, group: 107, "
                    + "permissions: \"0660\"}",
                .vhostUser(
                    VhostUserSpec(
                        socket: "/a", mode: .server, queues: 16,
                        access: SocketAccess(user: "libvirt-qemu", group: "107", permissions: 0o660)
                    ))
            ),  // a server
            (
                "socket: {path: /a, protocol: qemu-stream}",
                .socket(SocketSpec(path: "/a", protocol: .qemuStream))
            ),  // a server by default
            (
                "socket: {path: /a, protocol: qemu-dgram, peer: /b, permissions: \"600\"}",
                .socket(
                    SocketSpec(
                        path: "/a", protocol: .qemuDgram, peer: "/b",
                        access: SocketAccess(permissions: 0o600)))
            ),  // datagrams
            (
                "socket: {path: /run/vde/, protocol: vde, mode: client}",
                .socket(SocketSpec(path: "/run/vde/", protocol: .vde, mode: .client))
            ),  // another's VDE switch
            (
                "socket: {path: /a, protocol: bess, user: \"0\"}",
                .socket(SocketSpec(path: "/a", protocol: .bess, access: SocketAccess(user: "0")))
            ),  // User-mode Linux
        ] as [(String, PortAttachment)])
    func decoded(_ text: String, _ expected: PortAttachment) throws {
        #expect(try attachment(text) == expected)
    }

    @Test("has a device that Heddle makes, or none")
    func madeDevices() throws {
        func port(_ name: String, _ attachment: PortAttachment) -> PortSpec {
            PortSpec(name: name, membership: .access(network: "blue"), attachment: attachment)
        }
        let veth = port("web-1", .veth(VethSpec(namespace: "web")))
        #expect(veth.deviceName == "web-1")
        #expect(veth.namespace == "web")
        #expect(veth.switchEndName == DeviceName.switchEnd(of: "web-1"))
        let named = port("web-1", .veth(VethSpec(device: "eth0")))
        #expect(named.deviceName == "eth0")
        #expect(named.namespace == nil)
        #expect(named.switchEndName == veth.switchEndName)
        #expect(port("web-1", .tap(TAPSpec())).switchEndName == nil)
        for attachment: PortAttachment in [
            .device(.name("eth1")), .device(.match(DeviceMatch(group: 7))),
            .vhostUser(VhostUserSpec(socket: "/a")),
            .socket(SocketSpec(path: "/a", protocol: .vde)), .pcap(PcapSpec(read: "a")),
        ] {
            let port = port("p", attachment)
            #expect(port.deviceName == nil && port.namespace == nil && port.switchEndName == nil)
        }
    }

    @Test("gives a veth's end at the switch a name that the kernel takes, and its own")
    func switchEnds() {
        let names =
            ["lo", "a", "a-rather-long-port-name", String(repeating: "n", count: 63)]
            + (0..<4096).map { "port-\($0)" }
        let ends = names.map { DeviceName.switchEnd(of: $0) }
        #expect(ends.allSatisfy(DeviceName.isValid))
        #expect(Set(ends + names.map { DeviceName.derived(from: $0) }).count == 2 * names.count)
    }

    @Test("may be the same on two hosts")
    func hosts() throws {
        let topology = try Topology.decode(
            """
            heddle: 1
            hosts: {alpha: {underlay: 192.0.2.1}, beta: {underlay: 192.0.2.2}}
            networks: {blue: {vlan: 10, vni: 10, mtu: 9000}}
            ports:
              a: {host: alpha, network: blue, device: {name: eth1}}
              b: {host: beta, network: blue, device: {name: eth1}}
              c: {host: alpha, network: blue, vhost-user: {socket: /run/guest}}
              d: {host: beta, network: blue, vhost-user: {socket: /run/guest}}
              e: {host: beta, network: blue, veth: {mac: 02:00:00:00:00:05}}
            """, file: "t")
        let part = try topology.part(of: "alpha")
        #expect(part.topology.ports.map(\.name) == ["a", "c"])
        #expect(part.topology.ports.allSatisfy { topology.deviceMTU(of: $0) == 9000 })
        // What the file says of a veth's address the tunnel's other end is told.
        #expect(part.tunnels.flatMap(\.staticMACs).map(\.mac.description) == ["02:00:00:00:00:05"])
    }

    @Test("may be described with as many question marks as there are ports")
    func questionMarks() throws {
        let ports = (0..<200).map {
            "  p\($0): {network: 10, description: Who? What?, device: {match: {name: \"v\($0)-?\"}}}\n"
        }
        let topology = try Topology.decode(
            "heddle: 1\nports:\n\(ports.joined())", file: "t.yaml")
        #expect(topology.ports.count == 200)
    }

    @Test("draws itself for Mermaid")
    func mermaid() throws {
        func label(_ text: String) throws -> String? {
            let topology = Topology(
                networks: [NetworkSpec(name: "n")],
                ports: [
                    PortSpec(
                        name: "p", membership: .access(network: "n"),
                        attachment: try attachment(text))
                ])
            return topology.mermaid.split(separator: "\n").first { $0.contains("p0[") }
                .map { String($0.dropFirst("    p0[\"p<br/>".count).dropLast(2)) }
        }
        #expect(try label("veth: {namespace: web}") == "veth in web")
        #expect(try label("veth: {}") == "veth")
        #expect(try label("device: {name: eth1}") == "device eth1")
        #expect(
            try label("device: {match: {name: vnet*, group: 7}}") == "devices: name vnet*, group 7")
        #expect(try label("vhost-user: {socket: /run/a}") == "vhost-user at /run/a")
        #expect(try label("socket: {path: /run/a, protocol: vde}") == "vde at /run/a")
    }
}
