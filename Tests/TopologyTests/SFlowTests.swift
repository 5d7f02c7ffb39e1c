import Testing
import Wire

@testable import Topology

@Suite("An sFlow collector in a topology file")
struct SFlowTests {
    private func sflow(_ text: String) throws -> SFlowSpec? {
        try Topology.decode("heddle: 1\nswitch: {sflow: {\(text)}}\n", file: "t.yaml").bridge.sflow
    }

    @Test("is read, with the defaults and without")
    func decode() throws {
        let collector = try #require(UDPEndpoint("192.0.2.9:6343"))
        #expect(try sflow("collector: 192.0.2.9:6343") == SFlowSpec(collector: collector))
        #expect(
            try sflow(
                #"collector: "[2001:db8::9]:7000", sampling: 1, polling: 5s, header: 64, agent: "fd00::1""#
            )
                == SFlowSpec(
                    collector: try #require(UDPEndpoint("[2001:db8::9]:7000")), sampling: 1,
                    pollingSeconds: 5, headerByteCount: 64, agent: IPAddress("fd00::1")))
    }

    static let wrong: [(String, String)] = [
        // nobody to tell
        ("sampling: 10", "'collector' is missing"),
        // a name: resolving one could hold up the switch
        ("collector: collector.example:6343", "'collector' must be an address and a UDP port"),
        ("collector: 192.0.2.9", "'collector' must be an address and a UDP port"),  // no port
        ("collector: 192.0.2.9:0", "'collector' must be an address and a UDP port"),
        ("collector: 192.0.2.9:65536", "'collector' must be an address and a UDP port"),
        // without brackets the port could be part of the address
        (#"collector: "2001:db8::9:6343""#, "'collector' must be an address and a UDP port"),
        ("collector: 0.0.0.0:6343", "must be the address of a collector"),  // nobody
        ("collector: 192.0.2.9:6343, sampling: 0", "'sampling' must be a whole number from 1"),
        ("collector: 192.0.2.9:6343, polling: 0s", "'polling' must be a number of seconds"),
        ("collector: 192.0.2.9:6343, header: 13", "'header' must be a whole number from 14"),
        ("collector: 192.0.2.9:6343, agent: 127.0.0.1", "127.0.0.1 does not leave its host"),
        ("collector: 192.0.2.9:6343, rate: 5", "unknown key 'rate'"),
    ]

    @Test("is refused with the reason", arguments: wrong)
    func refuse(_ text: String, _ reason: String) {
        let error = #expect(throws: TopologyError.self) { try sflow(text) }
        #expect(error?.lines.first?.contains(reason) == true, "\(error?.lines ?? [])")
        #expect(error?.lines.first?.contains("switch: sflow: ") == true, "\(error?.lines ?? [])")
    }

    @Test("is planned as a change of the switch, and of nothing else")
    func plan() throws {
        let before = try Topology.decode(
            "heddle: 1\nnetworks: {n: {}}\nports: {a: {network: n, tap: {}}}\n", file: "t.yaml")
        var after = before
        after.bridge.sflow = SFlowSpec(
            collector: try #require(UDPEndpoint("192.0.2.9:6343")), agent: IPAddress("192.0.2.1"))
        var observed = Observed()
        observed.networks = before.networks
        observed.ports = before.ports.map { ObservedPort(spec: $0) }
        let plan = try Plan.make(desired: after, observed: observed)
        #expect(
            plan.lines == [
                "~ switch: sflow off → to 192.0.2.9:6343, 1 of 1000, 128 bytes, every 20s, "
                    + "as 192.0.2.1"
            ])
        observed.bridge = after.bridge
        #expect(try Plan.make(desired: after, observed: observed).isEmpty)
    }
}
