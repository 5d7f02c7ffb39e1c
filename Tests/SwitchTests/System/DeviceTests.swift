import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Devices that change under the switch")
    struct Devices {
        private static let topology = """
            heddle: 1
            networks: {blue: {vlan: 10}}
            ports:
              a: {network: blue, tap: {namespace: a, address: [10.1.0.1/24]}}
              b: {network: blue, tap: {namespace: b, address: [10.1.0.2/24]}}
              c: {network: blue, tap: {namespace: c, address: [10.1.0.3/24]}}
            """

        @Test("a deleted device is a port down with its reason, and apply makes it again")
        func deletedAndRepaired() throws {
            try withTopology(Self.topology) { lab in
                let stream = try lab.stream(from: "a", to: Host("b", "10.1.0.2"))
                try lab.sh("ip link delete c", in: "c")
                #expect(try lab.port("c", becomes: .down))
                #expect(try lab.port("c").reason?.contains("device c is gone") == true)
                #expect(try lab.heddle("port", "list").text.contains("device c is gone"))
                let plan = try lab.heddle("topology", "plan", lab.directory + "/topology.yaml")
                #expect(plan.status == 2)
                #expect(plan.text.contains("port c"))
                try lab.apply(lab.directory + "/topology.yaml")
                #expect(try lab.port("c").state == .up)
                #expect(try lab.ping(from: "a", "10.1.0.3"))
                let account = try stream.finish()
                #expect(account.isPerfect, "nobody else noticed: \(account)")
            }
        }

        @Test("a TAP of the name that appears is taken back without an apply")
        func takenBack() throws {
            try withTopology(Self.topology) { lab in
                try lab.sh("ip link delete c", in: "c")
                #expect(try lab.port("c", becomes: .down))
                try lab.sh("ip tuntap add dev c mode tap", in: "c")
                #expect(try lab.port("c", becomes: .up))
                #expect(try lab.ping(from: "a", "10.1.0.3"), "its address is set again")
            }
        }

        @Test("a device set down and up is reported, and frames to it are accounted for")
        func downAndUp() throws {
            try withTopology(Self.topology) { lab in
                #expect(try lab.ping(from: "a", "10.1.0.3"))
                try lab.sh("ip link set dev c down", in: "c")
                #expect(try lab.port("c", becomes: .down))
                #expect(try lab.port("c").reason == "device c is down in its namespace")
                #expect(try !lab.ping(from: "a", "10.1.0.3"))
                #expect(try lab.drops("egress-down", port: "c") > 0)
                try lab.sh("ip link set dev c up", in: "c")
                #expect(try lab.port("c", becomes: .up))
                #expect(try lab.ping(from: "a", "10.1.0.3"))
            }
        }

        @Test("a port declared down passes nothing until it is declared up")
        func administrativelyDown() throws {
            try withTopology(Self.topology) { lab in
                #expect(try lab.ping(from: "a", "10.1.0.3"))
                let down = Self.topology.replacingOccurrences(
                    of: "c: {network: blue,", with: "c: {network: blue, up: false,")
                try lab.apply(try lab.file("down.yaml", down))
                #expect(try lab.port("c").state == .down)
                #expect(try !lab.ping(from: "a", "10.1.0.3"))
                #expect(try !lab.ping(from: "c", "10.1.0.1"))
                #expect(try lab.drops("port-down", port: "c") > 0)
                try lab.apply(lab.directory + "/topology.yaml")
                #expect(try lab.ping(from: "a", "10.1.0.3"))
            }
        }
    }
}
