import Foundation
import Testing
import Wire

@testable import Topology

/// The files of `topologies/`.
enum Examples {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "topologies")

    static let names = [
        "quickstart", "access-and-trunk", "isolated-ports", "mac-limits", "many-ports",
        "two-hosts-vxlan", "three-hosts-geneve", "two-hosts-gre", "ipv6-underlay", "containers",
        "virtual-machines",
    ]

    static func path(_ name: String) -> String { folder.appending(path: "\(name).yaml").path }

    static func bytes(_ name: String) throws -> [UInt8] {
        try [UInt8](Data(contentsOf: URL(filePath: path(name))))
    }
}

@Suite("The example topologies")
struct ExampleTests {
    @Test("are all known to these tests")
    func complete() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Examples.folder.path)
        #expect(Set(files) == Set(Examples.names.map { "\($0).yaml" }))
    }

    @Test("are valid, and begin with a comment", arguments: Examples.names)
    func valid(_ name: String) throws {
        let topology = try Topology.load(path: Examples.path(name))
        #expect(!topology.ports.isEmpty)
        #expect(try Examples.bytes(name).first == UInt8(ascii: "#"))
    }

    @Test("read the same after being written", arguments: Examples.names)
    func roundTrip(_ name: String) throws {
        let topology = try Topology.load(path: Examples.path(name))
        #expect(try Topology.decode(topology.yaml, file: name) == topology)
    }

    @Test("say what they say")
    func quickstart() throws {
        let topology = try Topology.load(path: Examples.path("quickstart"))
        #expect(topology.networks.map(\.name) == ["blue", "green"])
        #expect(topology.ports.map(\.name) == ["web-1", "web-2", "db-1", "db-2"])
        #expect(topology.port(named: "db-2")?.namespace == "db-2")
        #expect(topology.port(named: "db-2")?.deviceName == "db-2")
        #expect(try Topology.load(path: Examples.path("many-ports")).ports.count == 256)
        let trunk = try Topology.load(path: Examples.path("access-and-trunk")).port(named: "fw-1")
        #expect(trunk?.membership == .trunk(networks: ["blue", "green"], native: "blue"))
    }

    @Test(
        "that span hosts have networks that fit an underlay of 1500, no larger than need be",
        arguments: [
            ("two-hosts-vxlan", ["vxlan:beta"], ["underlay:vxlan"]),
            ("three-hosts-geneve", ["geneve:beta", "geneve:gamma"], ["underlay:geneve"]),
            ("two-hosts-gre", ["gre:beta"], ["underlay:gre"]),
            ("ipv6-underlay", ["vxlan:beta"], ["underlay:vxlan"]),
        ])
    func spanning(_ name: String, _ tunnels: [String], _ underlays: [String]) throws {
        let topology = try Topology.load(path: Examples.path(name))
        #expect(topology.notes.isEmpty)
        let part = try topology.part(of: "alpha")
        #expect(part.tunnels.map(\.name) == tunnels)
        #expect(part.underlays.map(\.name) == underlays)
        for network in topology.networks where network.vni != nil {
            for tunnel in part.tunnels where tunnel.networks.contains(network.name) {
                #expect(tunnel.overhead.maximumPacketByteCount(underlayMTU: 1500) == network.mtu)
            }
        }
    }

    @Test(
        "survive mutation: fine, or refused with a place, and never a crash",
        arguments: Examples.names)
    func mutated(_ name: String) throws {
        let original = try Examples.bytes(name)
        var generator = SeededGenerator(seed: 1)
        let signs = Array("{}[]:,-?*&#'\"|>%@`!\n\t \u{0}0a\u{7F}".utf8) + [0xFF, 0xC3, 0xEF]
        var acceptedCount = 0
        let rounds = original.count > 10_000 ? 30 : 500
        for _ in 0..<rounds {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                let end = min(
                    bytes.count, place + Int.random(in: 1...20, using: &generator))
                switch Int.random(in: 0..<5, using: &generator) {
                case 0: bytes[place] = signs[Int.random(in: 0..<signs.count, using: &generator)]
                case 1: bytes.insert(signs.randomElement(using: &generator) ?? 0, at: place)
                case 2: bytes.removeSubrange(place..<end)
                case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
                default: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                }
            }
            do {
                let topology = try Topology.decode(bytes, file: "t.yaml")
                acceptedCount += 1
                #expect(try Topology.decode(topology.yaml, file: "t.yaml") == topology)
            } catch {
                #expect(!error.problems.isEmpty)
                #expect(error.lines.allSatisfy { !$0.contains("\n") && $0.hasPrefix("t.yaml:") })
                #expect(
                    error.problems.contains { $0.location != nil }
                        || error.description.contains("is empty"),
                    "\(error)")
            }
        }
        #expect(acceptedCount < rounds)
        #expect(acceptedCount > 0 || rounds < 100)
    }
}
