import Foundation
import Ports
import Testing
import Topology

@testable import Control
@testable import Netlink

@Suite("Discovering devices")
struct DeviceDiscoveryTests {
    private static let file = """
        heddle: 1
        networks: {blue: {vlan: 10}, green: {vlan: 20}, plain: {}}
        ports:
          eth: {network: blue, device: {name: eth1}}
          vms: {network: blue, isolated: true, device: {match: {name: "vnet*"}}}
          odd: {trunk: [blue, green], device: {match: {name: "vnet7", group: 7}}}
          taken: {network: green, pcap: {write: /dev/null}}
        """

    private func link(
        _ index: Int32, _ name: String, alias: String? = nil, group: UInt32 = 0,
        alternativeNames: [String] = [], flags: LinkFlags = .up
    ) -> Link {
        var link = Link(index: index, name: name, flags: flags)
        link.alias = alias
        link.group = group
        link.alternativeNames = alternativeNames
        return link
    }

    private func discover(_ links: [Link]) throws -> DeviceDiscovery {
        let topology = try Topology.decode(Self.file, file: "test")
        let ports = topology.ports.enumerated().map { number, spec in
            LivePort(
                spec: spec, number: UInt16(number), origin: .declared, attachment: AbsentPort())
        }
        return DeviceDiscovery(links: links, ports: ports, topology: topology)
    }

    /// `port as what: by whom` for each that was found.
    private func summary(_ links: Link...) throws -> [String] {
        try discover(links).found.map {
            "\($0.spec.name) \($0.spec.membership.networks.joined(separator: ",")): "
                + ($0.template ?? "alias")
        }
    }

    @Test("takes a device by its name, as its template is")
    func byName() throws {
        let found = try discover([link(5, "vnet0"), link(6, "other")]).found
        #expect(found.map(\.spec.name) == ["vnet0"])
        #expect(found[0].spec.isolated)
        #expect(found[0].spec.attachment == .device(.name("vnet0")))
        #expect(found[0].template == "vms")
    }

    @Test("the first template of the file goes before later ones, an alias before all")
    func order() throws {
        #expect(try summary(link(5, "vnet7", group: 7)) == ["vnet7 blue: vms"])
        #expect(
            try summary(link(5, "vnet7", alias: "heddle:network=green", group: 7))
                == ["vnet7 green: alias"])
        #expect(
            try summary(link(5, "tap0", alias: "heddle:trunk=blue,green native=blue"))
                == ["tap0 blue,green: alias"])
    }

    @Test("leaves alone what nobody asked for, what is taken, what any Heddle made, and loopback")
    func leftAlone() throws {
        let found = try discover([
            link(1, "lo", alias: "heddle:network=blue", flags: [.up, .loopback]),
            link(2, "eth0"), link(3, "eth1"), link(4, "mine", alias: "uplink of the lab"),
            link(5, "vnet1", alternativeNames: ["heddle-abc123-web-1"]),
        ])
        #expect(found.found.isEmpty)
        #expect(found.problems.isEmpty)
    }

    @Test(
        "says why a device that was meant to be a port is none",
        arguments: [
            ("tap0", "heddle:network=bleu", "did you mean 'blue'?"),
            ("tap0", "heddle:netwrok=blue", "did you mean 'network'?"),
            ("tap0", "heddle:trunk=blue,plain", "has no VLAN ID"),
            ("tap0", "heddle:network=77", "VLAN 77, which no network has"),
            ("taken", "heddle:network=blue", "a port of that name exists"),
            ("tap@0", "heddle:network=blue", "rename the device"),
        ])
    func problems(_ name: String, _ alias: String, _ reason: String) throws {
        let discovery = try discover([link(9, name, alias: alias)])
        #expect(discovery.found.isEmpty)
        #expect(discovery.problems.count == 1)
        #expect(discovery.problems[0].hasPrefix("device '\(name)' is no port: "))
        #expect(discovery.problems[0].contains(reason))
    }

    @Test("leaves a bridge's port to its bridge, and says so")
    func bridgePort() throws {
        var port = link(5, "vnet0")
        port.controller = 9
        let discovery = try discover([port])
        #expect(discovery.found.isEmpty)
        #expect(discovery.problems.count == 1)
        #expect(discovery.problems[0].contains("ip link set vnet0 nomaster"))
    }

    @Test("counts what each template took")
    func counts() throws {
        let discovery = try discover([
            link(5, "vnet0"), link(6, "vnet1"), link(7, "vnet2", alias: "heddle:network=green"),
        ])
        #expect(discovery.matchCounts == ["vms": 2])
    }
}
