import TestSupport
import Testing
import Topology
import Wire

@testable import Trace

@Suite("A switch on paper")
struct OfflineSwitchTests {
    static let lab = """
        heddle: 1
        networks: {blue: {vlan: 10}, green: {vlan: 20, mtu: 9000}}
        ports:
          web-1: {network: blue, isolated: true, tap: {namespace: web-1}}
          web-2: {network: blue, isolated: true, tap: {namespace: web-2}}
          db-1: {network: green, static: [02:00:00:00:00:31], tap: {namespace: db-1}}
          fw-1: {trunk: [blue, green], tap: {namespace: fw-1}}
          off: {network: blue, up: false, tap: {namespace: off}}
        """
    static let hosts = """
        heddle: 1
        hosts:
          alpha: {underlay: 192.0.2.1}
          beta: {underlay: 192.0.2.2}
        networks: {blue: {vlan: 10, vni: 10010}, green: {vlan: 20, vni: 10020}}
        ports:
          web-1: {host: alpha, network: blue, tap: {namespace: web-1}}
          fw-1: {host: alpha, trunk: [blue, green], tap: {namespace: fw-1}}
          web-2:
            host: beta
            network: blue
            static: [02:00:00:00:00:02]
            tap: {namespace: web-2}
          db-2: {host: beta, network: green, tap: {namespace: db-2}}
        """

    static func make(_ text: String, host: String? = nil) throws -> OfflineSwitch {
        try OfflineSwitch(try Topology.decode(text, file: "lab.yaml"), host: host)
    }

    static let rows: [(String, [UInt8], String)] = [
        ("web-1", plainFrame(.broadcast, station(1)), "flooded to 1 port"),  // both isolated
        ("web-1", plainFrame(.broadcast, station(1), vlan: 10), "dropped: tag-on-access"),
        ("web-1", plainFrame(.broadcast, .broadcast), "dropped: invalid-source"),
        ("fw-1", plainFrame(.broadcast, station(1)), "dropped: untagged-on-trunk"),
        ("fw-1", plainFrame(.broadcast, station(1), vlan: 30), "dropped: vlan-not-allowed"),
        ("fw-1", plainFrame(.broadcast, station(1), vlan: 10), "flooded to 2 ports"),
        ("fw-1", plainFrame(station(0x31), station(1), vlan: 20), "forwarded to db-1"),
        ("db-1", plainFrame(station(0x31), station(1)), "dropped: hairpin"),
        ("fw-1", plainFrame(station(1), station(0x31), vlan: 20), "dropped: source-pinned"),
        ("off", plainFrame(.broadcast, station(1)), "dropped: port-down"),
        ("db-1", [1, 2, 3], "dropped: runt"),
    ]

    @Test("forwards by the topology, and says a drop's reason and remedy", arguments: rows)
    func fates(_ port: String, _ frame: [UInt8], _ fate: String) throws {
        let report = try Self.make(Self.lab).explain(frame, from: port)
        #expect("\(report.fate)" == fate)
        #expect(report.verdict.hasPrefix(fate))
        #expect((report.steps.last?.kind == .remedy) == fate.hasPrefix("dropped"))
        if let reason = report.reason {
            #expect(report.verdict == "\(fate): \(reason.sentence)")
            #expect(report.steps.last?.text == reason.remedy)
        }
    }

    @Test("tells the steps in the order in which the switch takes them")
    func steps() throws {
        let report = try Self.make(Self.lab).explain(
            plainFrame(station(2), station(1), vlan: 10), from: "fw-1")
        #expect(
            report.steps.dropFirst(3).map { "\($0.kind.rawValue): \($0.text)" } == [
                "ingress: fw-1: trunk of blue, green, no native network",
                "network: tag of VLAN 10: network blue, packet of 46 bytes (MTU 1500)",
                "learning: 02:00:00:00:00:01 is new: learned behind fw-1",
                "lookup: 02:00:00:00:00:02 is unknown: to all members of the network",
                "copy: to web-1, untagged", "copy: to web-2, untagged",
                "left-out: fw-1: the frame came from there", "left-out: off: it is down",
                "verdict: flooded to 2 ports",
            ])
        #expect(report.network == "blue")
        #expect(report.egress == ["web-1", "web-2"])
    }

    @Test("learns only when it is told to")
    func learning() throws {
        let offline = try Self.make(Self.lab)
        let question = plainFrame(station(5), station(6))
        for _ in 0..<2 {
            #expect(try "\(offline.explain(question, from: "db-1").fate)" == "flooded to 1 port")
        }
        offline.learn(from: plainFrame(.broadcast, station(5), vlan: 20), port: "fw-1")
        let report = try offline.explain(question, from: "db-1")
        #expect(report.fate == .forwarded("fw-1"))
        #expect(report.steps.contains { $0.text == "to fw-1, tagged with VLAN 20" })
    }

    @Test("of a topology with hosts carries frames by tunnels, and refuses what does not fit")
    func tunnels() throws {
        let alpha = try Self.make(Self.hosts, host: "alpha")
        let report = try alpha.explain(plainFrame(station(2), station(1)), from: "web-1")
        #expect(report.fate == .forwarded("vxlan:beta"))
        #expect(
            report.steps.contains {
                $0.kind == .encapsulation
                    && $0.text == "to vxlan:beta: VXLAN, VNI 10010, to 192.0.2.2"
            })
        let large = plainFrame(station(2), station(1)) + [UInt8](repeating: 0, count: 1405)
        let dropped = try alpha.explain(large, from: "web-1")
        #expect("\(dropped.fate)" == "dropped: overlay-mtu")
        #expect(
            dropped.steps.contains {
                $0.kind == .dropped && $0.text.contains("1451 of at most 1450")
            })
    }

    @Test("takes a frame of a tunnel once its network is known")
    func fromTunnel() throws {
        let alpha = try Self.make(Self.hosts, host: "alpha")
        let frame = plainFrame(.broadcast, station(2))
        let report = try alpha.explain(frame, from: "vxlan:beta", network: "green")
        #expect("\(report.fate)" == "flooded to 1 port")
        #expect(report.steps.contains { $0.text.hasPrefix("the VNI says network green") })
        let rows: [(String, String?, String)] = [
            ("vxlan:beta", nil, "--network which of them the frame is of: blue, green"),
            ("vxlan:beta", "red", "does not carry network 'red'; it carries: blue, green"),
            ("web-1", "blue", "leave 'blue' out"),
            ("web-11", nil, "did you mean 'web-1'?"),
            ("nobody", nil, "there are: web-1, fw-1, vxlan:beta"),
        ]
        for (port, network, text) in rows {
            let error = #expect(throws: TraceError.self) {
                try alpha.explain(frame, from: port, network: network)
            }
            #expect("\(try #require(error))".contains(text))
        }
    }

    @Test("asks which host it is, and only where there are hosts")
    func whichHost() throws {
        let rows: [(String, String?, String)] = [
            (Self.hosts, nil, "spans hosts (alpha, beta): say with --host"),
            (Self.hosts, "alpa", "did you mean 'alpha'?"),
            (Self.lab, "alpha", "leave --host alpha out"),
        ]
        for (text, host, message) in rows {
            let error = #expect(throws: TraceError.self) { try Self.make(text, host: host) }
            #expect("\(try #require(error))".contains(message))
        }
    }

    static let hex: [(String, [UInt8]?)] = [
        ("0102", [1, 2]), ("01:02-03 04", [1, 2, 3, 4]), ("0200.0000.00aF", [2, 0, 0, 0, 0, 0xAF]),
        ("", nil), ("1", nil), ("0 1", nil), ("0g", nil), ("０1", nil),
    ]

    @Test("hexadecimal is read with separators between bytes only", arguments: hex)
    func hexadecimal(_ text: String, _ bytes: [UInt8]?) {
        #expect((try? ProbeFrame.bytes(hex: text)) == bytes)
        if let bytes { #expect((try? ProbeFrame.bytes(hex: ProbeFrame.hex(bytes))) == bytes) }
    }

    @Test("an ARP request is what the standard says")
    func arpRequest() throws {
        let frame = ProbeFrame.arpRequest(
            for: IPv4Address(rawValue: 0x0A0A_0002), from: station(1),
            IPv4Address(rawValue: 0x0A0A_0001), vlan: nil)
        #expect(
            frame.prefix(42)
                == Hex.bytes(
                    """
                    ffffffffffff 020000000001 0806  # to all, ARP
                    0001 0800 06 04 0001  # Ethernet, IPv4, a request
                    020000000001 0a0a0001 000000000000 0a0a0002
                    """)[...])
        #expect(frame.count == 60)
    }
}
