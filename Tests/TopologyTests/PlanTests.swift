import Foundation
import Testing
import Wire

@testable import Topology

/// A switch that carries plans out and insists on what the real one would: nothing is used before
/// it is there, removed while in use, or made twice.
private struct ModelSwitch {
    var observed: Observed

    mutating func apply(_ plan: Plan) throws {
        for action in plan.actions { try apply(action) }
    }

    private mutating func apply(_ action: Action) throws {
        switch action {
        case .updateSwitch(let from, let to):
            try #require(observed.bridge == from)
            observed.bridge = to
        case .createNamespace(let name):
            try #require(observed.namespaces[name] == nil)
            observed.namespaces[name] = true
        case .removeNamespace(let name):
            try #require(observed.namespaces[name] == true)
            try #require(!observed.ports.contains { $0.spec.namespace == name })
            observed.namespaces[name] = nil
        case .addNetwork(let network):
            try #require(!observed.networks.contains { $0.name == network.name })
            observed.networks.append(network)
        case .updateNetwork(let from, let to, let ports):
            let index = try #require(observed.networks.firstIndex(of: from))
            let members = observed.ports.filter { $0.spec.membership.networks.contains(to.name) }
            try #require(Set(members.map(\.spec.name)) == Set(ports))
            observed.networks[index] = to
        case .removeNetwork(let network):
            let index = try #require(observed.networks.firstIndex(of: network))
            try #require(
                !observed.ports.contains { $0.spec.membership.networks.contains(network.name) })
            try #require(!observed.tunnels.contains { $0.networks.contains(network.name) })
            observed.networks.remove(at: index)
        case .updateTunnelSettings(let from, let to):
            try #require(observed.tunnelSettings == from)
            observed.tunnelSettings = to
        case .addTunnel(let tunnel):
            try #require(!observed.tunnels.contains { $0.name == tunnel.name })
            try requireNetworks(tunnel.networks)
            observed.tunnels.append(tunnel)
        case .changeTunnel(let from, let to):
            let index = try #require(observed.tunnels.firstIndex(of: from))
            try #require(from.name == to.name)
            try requireNetworks(to.networks)
            observed.tunnels[index] = to
        case .removeTunnel(let name):
            let index = try #require(observed.tunnels.firstIndex { $0.name == name })
            observed.tunnels.remove(at: index)
        case .detachPort(let port):
            let index = try #require(observed.ports.firstIndex { $0.spec == port })
            observed.ports.remove(at: index)
        case .updatePort(let from, let to):
            let index = try #require(observed.ports.firstIndex { $0.spec == from })
            try #require(from.namespace == to.namespace && from.deviceName == to.deviceName)
            try #require(
                from.attachment == to.attachment
                    || from.attachment.madeDevice != nil
                        && from.switchEndName == to.switchEndName
            )
            try requireNetworks(to.membership.networks)
            observed.ports[index].spec = to
        case .attachPort(let port):
            try requireNetworks(port.membership.networks)
            if let namespace = port.namespace {
                try #require(observed.namespaces[namespace] != nil)
            }
            for other in observed.ports.map(\.spec) {
                try #require(other.name != port.name)
                try #require(
                    port.deviceName == nil || other.deviceName != port.deviceName
                        || other.namespace != port.namespace)
            }
            observed.ports.append(ObservedPort(spec: port))
        case .repairPort(let port):
            let index = try #require(observed.ports.firstIndex { $0.spec == port })
            try #require(observed.ports[index].condition == .missingDevice)
            observed.ports[index].condition = .up
        }
    }

    private func requireNetworks(_ names: [String]) throws {
        for name in names {
            try #require(observed.networks.contains { $0.name == name })
        }
    }
}

@Suite("A plan")
struct PlanTests {
    private func topology(_ body: String) throws -> Topology {
        try Topology.decode("heddle: 1\n" + body, file: "t.yaml")
    }

    /// The switch as it is after the topology was applied to an empty one.
    private func running(_ topology: Topology) throws -> Observed {
        try running(HostPart(whole: topology))
    }

    private func running(_ part: HostPart) throws -> Observed {
        var model = ModelSwitch(observed: Observed())
        try model.apply(Plan.make(desired: part, observed: model.observed))
        return model.observed
    }

    @Test(
        "leads to what is declared, touching only what differs", arguments: 0..<300 as Range<UInt64>
    )
    func converges(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let first = try Topology.random(using: &generator).part(of: "alpha")
        let second = try Topology.random(using: &generator).part(of: "alpha")
        var model = ModelSwitch(observed: try running(first))
        #expect(try Plan.make(desired: first, observed: model.observed).isEmpty)
        var broken: Set<String> = []
        for index in model.observed.ports.indices
        where Int.random(in: 0..<5, using: &generator) == 0 {
            model.observed.ports[index].condition = .missingDevice
            broken.insert(model.observed.ports[index].spec.name)
        }
        model.observed.namespaces["foreign"] = false

        let plan = try Plan.make(desired: second, observed: model.observed)
        let same = Set(first.topology.ports).intersection(second.topology.ports).map(\.name)
        let untouched = Set(same).subtracting(broken)
        for action in plan.actions where action.kind.hasSuffix("Port") {
            #expect(!untouched.contains(action.name ?? ""))
        }
        let sameTunnels = Set(Set(first.tunnels).intersection(second.tunnels).map(\.name))
        for action in plan.actions where action.kind.hasSuffix("Tunnel") {
            #expect(!sameTunnels.contains(action.name ?? ""))
        }
        try model.apply(plan)
        #expect(try Plan.make(desired: second, observed: model.observed).isEmpty)
        #expect(Set(model.observed.ports.map(\.spec)) == Set(second.topology.ports))
        #expect(Set(model.observed.networks) == Set(second.topology.networks))
        #expect(Set(model.observed.tunnels.map(\.name)) == Set(second.tunnels.map(\.name)))
        #expect(model.observed.namespaces["foreign"] == false)

        try model.apply(Plan.make(desired: Topology(), observed: model.observed))
        #expect(model.observed == Observed(namespaces: ["foreign": false]))
    }

    @Test("reads like a change")
    func lines() throws {
        let before = try topology(
            """
            networks: {blue: {vlan: 10}, green: {vlan: 20}, old: {}}
            ports:
              web-1: {network: blue, tap: {namespace: web-1}}
              web-2: {network: blue, tap: {namespace: web-2, address: [10.0.0.2/24]}}
              moved: {network: blue, tap: {namespace: here}}
              gone: {trunk: [blue, green], tap: {}}
            """)
        let after = try topology(
            """
            switch: {ageing: 60s}
            networks: {blue: {vlan: 10, mtu: 9000}, green: {vlan: 20}, new: {vlan: 30}}
            ports:
              web-1: {network: blue, tap: {namespace: web-1}}
              web-2: {network: green, isolated: true, tap: {namespace: web-2}}
              moved: {network: blue, tap: {namespace: there}}
              fresh: {trunk: [blue, new], native: new, pcap: {read: a.pcap}}
            """)
        let plan = try Plan.make(desired: after, observed: running(before))
        #expect(
            plan.lines == [
                "~ switch: ageing 300s → 60s",
                "+ namespace there",
                "+ network new: vlan 30, mtu 1500",
                "- port moved: tap in namespace here on network blue",
                "- port gone: tap as a trunk of blue green",
                "~ port web-2: network blue → green, isolated off → on, address 10.0.0.2/24 → none",
                "+ port moved: tap in namespace there on network blue",
                "+ port fresh: pcap read a.pcap as a trunk of blue new, native new",
                "~ network blue: mtu 1500 → 9000 (ports web-1, moved, fresh)",
                "- network old",
                "- namespace here",
            ])
        #expect(plan.summary.description == "4 to add, 3 to change, 4 to remove")
        #expect(Plan().description == "nothing to do")
        let data = try JSONEncoder().encode(plan.report)
        #expect(try JSONDecoder().decode(PlanReport.self, from: data) == plan.report)
    }

    @Test("tells attachments apart, and changes in place only what stays the same device")
    func attachments() throws {
        let before = try topology(
            """
            networks: {blue: {vlan: 10}, green: {vlan: 20}}
            ports:
              kept: {network: blue, veth: {namespace: a, address: [10.0.0.1/24]}}
              moved: {network: blue, veth: {namespace: a, device: eth0}}
              kind: {network: blue, tap: {namespace: a}}
              card: {network: blue, device: {name: eth1}}
              other: {network: blue, device: {name: eth2}}
              many: {network: blue, device: {match: {name: "vnet*", group: 7}}}
              guest: {network: blue, vhost-user: {socket: /run/guest}}
              queues: {network: blue, vhost-user: {socket: /run/queues}}
              vm: {network: blue, socket: {path: /run/vm, protocol: qemu-stream}}
              plug: {network: blue, socket: {path: /run/plug, protocol: vde}}
            """)
        let after = try topology(
            """
            networks: {blue: {vlan: 10}, green: {vlan: 20}}
            ports:
              kept: {network: green, veth: {namespace: a, device: kept, mac: 02:00:00:00:00:01}}
              moved: {network: blue, veth: {namespace: a, device: eth1}}
              kind: {network: blue, veth: {namespace: a}}
              card: {network: green, device: {name: eth1}}
              other: {network: blue, device: {name: eth3}}
              many: {network: blue, device: {match: {name: "vnet*", alias: "web *"}}}
              guest: {network: green, vhost-user: {socket: /run/guest, mode: client}}
              queues: {network: blue, vhost-user: {socket: /run/queues, queues: 2}}
              vm: {network: blue, socket: {path: /run/vm, protocol: qemu-dgram}}
              plug: {network: blue, socket: {path: /run/plug, protocol: vde, permissions: "0600"}}
            """)
        let plan = try Plan.make(desired: after, observed: running(before))
        #expect(
            plan.lines == [
                "- port moved: veth eth0 in namespace a on network blue",
                "- port kind: tap in namespace a on network blue",
                "- port other: device eth2 on network blue",
                "- port many: devices with name vnet*, group 7 on network blue",
                "- port queues: vhost-user client at /run/queues on network blue",
                "- port vm: qemu-stream server at /run/vm on network blue",
                "- port plug: vde server at /run/plug on network blue",
                "~ port kept: network blue → green, mac any → 02:00:00:00:00:01, "
                    + "address 10.0.0.1/24 → none, device named explicitly or not",
                "~ port card: network blue → green",
                "~ port guest: network blue → green",
                "+ port moved: veth eth1 in namespace a on network blue",
                "+ port kind: veth in namespace a on network blue",
                "+ port other: device eth3 on network blue",
                "+ port many: devices with name vnet*, alias web * on network blue",
                "+ port queues: vhost-user client at /run/queues on network blue",
                "+ port vm: qemu-dgram at /run/vm on network blue",
                "+ port plug: vde server at /run/plug on network blue",
            ])
    }

    @Test("waits for a device that is not Heddle's to make, and changes its port meanwhile")
    func missingForeignDevice() throws {
        let networks = "networks: {blue: , green: }\n"
        let wanted = try topology(
            networks + "ports: {a: {network: blue, device: {name: eth1}}}")
        var observed = try running(wanted)
        observed.ports[0].condition = .missingDevice
        #expect(try Plan.make(desired: wanted, observed: observed).isEmpty)
        let changed = try topology(
            networks + "ports: {a: {network: green, device: {name: eth1}}}")
        #expect(
            try Plan.make(desired: changed, observed: observed).lines
                == ["~ port a: network blue → green"])
    }

    @Test("repairs a veth as it repairs a TAP")
    func missingVeth() throws {
        let wanted = try topology("networks: {blue: }\nports: {a: {network: blue, veth: {}}}")
        var observed = try running(wanted)
        observed.ports[0].condition = .missingDevice
        #expect(
            try Plan.make(desired: wanted, observed: observed).lines
                == ["~ port a: its device is missing, veth made again"])
    }

    @Test("does not look at ports that came with their devices")
    func discovered() throws {
        let wanted = try topology("networks: {blue: }\nports: {vnet0: {network: blue, tap: {}}}")
        var observed = try running(wanted)
        observed.ports.append(
            ObservedPort(
                spec: PortSpec(
                    name: "vnet0", membership: .access(network: "blue"),
                    attachment: .device(.name("vnet0"))), origin: .discovered))
        #expect(try Plan.make(desired: wanted, observed: observed).isEmpty)
        let empty = try Plan.make(desired: Topology(), observed: observed)
        #expect(empty.actions.map(\.kind) == ["detachPort", "removeNetwork"])
    }

    @Test("repairs a port whose device is missing, in a namespace made again if that went too")
    func repair() throws {
        let wanted = try topology(
            "networks: {blue: }\nports: {a: {network: blue, tap: {namespace: a}}}")
        var observed = try running(wanted)
        observed.ports[0].condition = .missingDevice
        observed.namespaces = [:]
        #expect(
            try Plan.make(desired: wanted, observed: observed).lines == [
                "+ namespace a",
                "~ port a: its device is missing, tap in namespace a made again",
            ])
    }

    @Test("leaves a port alone that is down for reasons of its own")
    func down() throws {
        let wanted = try topology("networks: {blue: }\nports: {a: {network: blue, tap: {}}}")
        var observed = try running(wanted)
        observed.ports[0].condition = .down(reason: "no carrier")
        #expect(try Plan.make(desired: wanted, observed: observed).isEmpty)
    }

    @Test("keeps a namespace that Heddle did not make")
    func foreignNamespace() throws {
        let wanted = try topology(
            "networks: {blue: }\nports: {a: {network: blue, tap: {namespace: a}}}")
        var observed = try running(wanted)
        observed.namespaces = ["a": false]
        let plan = try Plan.make(desired: Topology(), observed: observed)
        #expect(plan.actions.map(\.kind) == ["detachPort", "removeNetwork"])
    }

    @Test("leaves ports that a person attached alone, and refuses what would break them")
    func attachedByHand() throws {
        let networks = "networks: {blue: {vlan: 10}}\n"
        var observed = try running(topology(networks))
        let port = PortSpec(
            name: "guest", membership: .trunk(networks: ["blue"], native: nil),
            attachment: .tap(TAPSpec(namespace: "g", device: "eth7")))
        observed.ports.append(ObservedPort(spec: port, origin: .attached))
        observed.namespaces["g"] = true
        #expect(try Plan.make(desired: topology(networks), observed: observed).isEmpty)

        let rows: [(String, PlanError)] = [
            (networks + "ports: {guest: {network: blue, tap: {}}}", .portNameTaken("guest")),
            ("networks: {}", .networkInUse(network: "blue", attached: "guest")),
            ("networks: {blue: }", .vlanInUse(network: "blue", attached: "guest")),
            (
                networks + "ports: {a: {network: blue, tap: {namespace: g, device: eth7}}}",
                .deviceTaken(port: "a", device: "eth7", attached: "guest")
            ),
        ]
        for (text, expected) in rows {
            let wanted = try topology(text)
            let error = #expect(throws: PlanError.self) {
                try Plan.make(desired: wanted, observed: observed)
            }
            #expect(error == expected)
            #expect(error?.description.contains("heddle port detach guest") == true)
        }
    }

    @Test("refuses a device or a socket that an attached port has")
    func attachedPossessions() throws {
        let networks = "networks: {blue: {vlan: 10}}\n"
        var observed = try running(topology(networks))
        let attachments: [PortAttachment] = [
            .device(.name("eth1")), .veth(VethSpec(namespace: "g")),
            .vhostUser(VhostUserSpec(socket: "/run/guest")),
            .socket(SocketSpec(path: "/run/vde", protocol: .vde)),
            .socket(SocketSpec(path: "/run/vm", protocol: .qemuDgram, peer: "/run/qemu")),
        ]
        for (number, attachment) in attachments.enumerated() {
            observed.ports.append(
                ObservedPort(
                    spec: PortSpec(
                        name: "by-hand-\(number)", membership: .access(network: "blue"),
                        attachment: attachment), origin: .attached))
        }
        let end = DeviceName.switchEnd(of: "by-hand-1")
        let rows: [(String, PlanError)] = [
            (
                "device: {name: eth1}",
                .deviceTaken(port: "a", device: "eth1", attached: "by-hand-0")
            ),  // one device
            (
                "tap: {device: eth1}",
                .deviceTaken(port: "a", device: "eth1", attached: "by-hand-0")
            ),  // a device and a TAP to be made
            (
                "veth: {namespace: g, device: by-hand-1}",
                .deviceTaken(port: "a", device: "by-hand-1", attached: "by-hand-1")
            ),  // a veth's end in its namespace
            (
                "device: {name: \(end)}",
                .deviceTaken(port: "a", device: end, attached: "by-hand-1")
            ),  // a veth's end that is a port
            (
                "vhost-user: {socket: /run//guest}",
                .socketTaken(port: "a", path: "/run/guest", attached: "by-hand-2")
            ),  // one socket
            (
                "socket: {path: /run/vde/ctl, protocol: bess}",
                .socketTaken(port: "a", path: "/run/vde/ctl", attached: "by-hand-3")
            ),  // the socket of a VDE switch
            (
                "socket: {path: /run/x, protocol: qemu-dgram, peer: /run/qemu}",
                .socketTaken(port: "a", path: "/run/qemu", attached: "by-hand-4")
            ),  // one peer
        ]
        for (attachment, expected) in rows {
            let wanted = try topology(networks + "ports: {a: {network: blue, \(attachment)}}")
            let error = #expect(throws: PlanError.self) {
                try Plan.make(desired: wanted, observed: observed)
            }
            #expect(error == expected)
            #expect(error?.description.contains("heddle port detach by-hand") == true)
        }
    }
}
