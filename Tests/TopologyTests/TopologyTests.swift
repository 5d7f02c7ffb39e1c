import Foundation
import Testing
import Wire

@testable import Topology

@Suite("A topology")
struct TopologyTests {
    @Test(
        "reads the same after being written, whatever it holds", arguments: 0..<200 as Range<UInt64>
    )
    func roundTrip(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let topology = Topology.random(using: &generator)
        let text = topology.yaml
        let decoded = try Topology.decode(text, file: "t.yaml")
        #expect(decoded == topology)
        #expect(decoded.yaml == text)
    }

    @Test("knows where its values stand, and is equal wherever they stand")
    func locations() throws {
        let text =
            "heddle: 1\nnetworks: {blue: {vlan: 10}}\nports:\n  a: {network: blue, tap: {}}\n"
        let topology = try Topology.decode(text, file: "t.yaml")
        #expect(topology.locations["networks.blue.vlan"] == .init(line: 2, column: 25))
        #expect(topology.locations["ports.a"] == .init(line: 4, column: 3))
        #expect(topology.locations["ports.a.network"] == .init(line: 4, column: 16))
        #expect(try Topology.decode("\n\n" + text, file: "t.yaml") == topology)
    }

    @Test("makes a network for a VLAN ID that none has")
    func rawVLAN() throws {
        let text = """
            heddle: 1
            networks: {blue: {vlan: 10}}
            ports:
              a: {trunk: [10, 30], native: 30, tap: {}}
              b: {network: 30, tap: {}}
            """
        let topology = try Topology.decode(text, file: "t.yaml")
        #expect(topology.networks.map(\.name) == ["blue", "vlan-30"])
        #expect(topology.networks.last?.vlan == VLANID(30))
        #expect(
            topology.ports.map(\.membership) == [
                .trunk(networks: ["blue", "vlan-30"], native: "vlan-30"),
                .access(network: "vlan-30"),
            ])
    }

    @Test("may be empty, and may use aliases")
    func smallForms() throws {
        #expect(try Topology.decode("heddle: 1", file: "t.yaml") == Topology())
        #expect(try Topology.decode("{\"heddle\": 1, \"ports\": null}", file: "t") == Topology())
        let text = """
            heddle: 1
            networks: {blue: &net {vlan: }}
            """
        #expect(throws: TopologyError.self) { try Topology.decode(text, file: "t.yaml") }
        let shared = """
            heddle: 1
            networks: {blue: , green: {mtu: &mtu 9000}, red: {mtu: *mtu}}
            ports: {a: {network: red, tap: {}, description: "2 *mtu"}}
            """
        let topology = try Topology.decode(shared, file: "t.yaml")
        #expect(topology.networks.map(\.mtu) == [1500, 9000, 9000])
        #expect(topology.ports.first?.description == "2 *mtu")
        #expect(topology.ports.first.map(topology.deviceMTU) == 9000)
    }

    @Test("is not loaded from what is no file, and the reason is said")
    func unreadable() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func message(_ path: String) -> String? {
            let error = #expect(throws: TopologyError.self) { try Topology.load(path: path) }
            return error?.problems.first?.message
        }
        #expect(message(folder.path + "/none.yaml") == "there is no such file")
        #expect(message(folder.path) == "this is a directory: name the topology file in it")
        let junk = folder.appending(path: "junk.yaml")
        try Data([0x68, 0x0A, 0xC3, 0xFF, 0x00]).write(to: junk)
        let error = #expect(throws: TopologyError.self) { try Topology.load(path: junk.path) }
        #expect(
            error?.description
                == "\(junk.path):2:1: the file is not UTF-8 text: is it a topology file?")
        #expect(
            message("/dev/zero")
                == "the file is larger than 4 MiB, more than 16384 ports can need")
    }

    @Test(
        "gives each port's device a name that the kernel takes",
        arguments: [
            ("web-1", "web-1"),  // short enough: itself
            ("fifteen-letters", "fifteen-letters"),  // just short enough
            ("sixteen-letters-", "sixtee-ptmucs6y"),  // one too many
            ("lo", "lo-ry3oukld"),  // taken in every namespace
        ])
    func deviceNames(_ port: String, _ device: String) {
        let derived = DeviceName.derived(from: port)
        #expect(derived == device)
        #expect(DeviceName.isValid(derived))
    }

    @Test("tells long names that begin alike apart")
    func distinctDeviceNames() {
        let names = (0..<4096).map { DeviceName.derived(from: "a-rather-long-port-name-\($0)") }
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy(DeviceName.isValid))
    }

    @Test("draws itself for Mermaid, with names that Mermaid cannot misread")
    func mermaid() throws {
        let text = """
            heddle: 1
            networks: {blue: {vlan: 10}, end: {vlan: 20, mtu: 9000}}
            ports:
              a: {network: blue, isolated: true, tap: {namespace: host-a}}
              b: {trunk: [blue, end], native: blue, pcap: {read: 'x"].pcap'}}
            """
        #expect(
            try Topology.decode(text, file: "t.yaml").mermaid == """
                graph LR
                    n0(["blue<br/>vlan 10"])
                    n1(["end<br/>vlan 20<br/>mtu 9000"])
                    p0["a<br/>tap in host-a<br/>isolated"]
                    p0 -.- n0
                    p1["b<br/>pcap reads x#34;#93;.pcap"]
                    p1 ---|native| n0
                    p1 ---|tag 20| n1

                """)
    }
}
