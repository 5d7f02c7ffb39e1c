import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("many-ports.yaml")
    struct ManyPorts {
        @Test("256 ports come up, carry frames, keep their networks apart and go without a trace")
        func all() throws {
            try Lab.with { lab in
                let clock = ContinuousClock()
                var process: LabProcess?
                let start = try clock.measure {
                    process = try lab.startSwitch(example("many-ports"), seconds: 60)
                }
                let running = try #require(process)
                #expect(start < .seconds(20), "starting took \(start)")
                let ports = try lab.json("port", "list", as: PortList.self).ports
                #expect(ports.count == 256)
                #expect(ports.filter { $0.state != .up }.map(\.name) == [])
                #expect(Set(ports.map(\.number)).count == 256)
                #expect(try lab.namespaces().count == 256)

                // The first two and the last host of two networks, which share a subnet for this.
                let red = [
                    Host("p-000", "10.60.0.1"), Host("p-004", "10.60.0.2"),
                    Host("p-252", "10.60.0.64"),
                ]
                let green = [
                    Host("p-001", "10.60.0.101"), Host("p-005", "10.60.0.102"),
                    Host("p-253", "10.60.0.164"),
                ]
                for host in green {
                    try lab.sh(
                        "ip address add \(host.address)/24 dev \(host.namespace)",
                        in: host.namespace)
                }
                let expected = pairs(within: [red, green])
                #expect(try lab.pings(among: red + green) == expected)
                #expect(try lab.connections(among: red + green) == expected)

                let plan = try lab.heddle("topology", "plan", example("many-ports"))
                #expect(plan.status == 0, "\(plan.text)")
                let end = try clock.measure { try running.finish(seconds: 60) }
                #expect(end < .seconds(20), "ending took \(end)")
                #expect(try lab.leftovers() == [])
                print("many-ports: up in \(start), down in \(end)")
            }
        }
    }
}
