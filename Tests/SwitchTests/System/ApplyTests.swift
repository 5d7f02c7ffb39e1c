import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Plan and apply")
    struct Apply {
        /// Two ports that no change here touches, and room for more.
        private static func topology(_ more: String = "", mtu: Int = 1500) -> String {
            """
            heddle: 1
            networks:
              blue: {vlan: 10}
              green: {vlan: 20, mtu: \(mtu)}
            ports:
              a: {network: blue, tap: {namespace: a, address: [10.1.0.1/24]}}
              b: {network: blue, tap: {namespace: b, address: [10.1.0.2/24]}}
            \(more)
            """
        }

        private let receiver = Host("b", "10.1.0.2")

        @Test("plan says what would change and exits 0, 2 or 1; apply does it; again is nothing")
        func planAndApply() throws {
            let c = "  c: {network: green, tap: {namespace: c, address: [10.2.0.1/24]}}"
            try withTopology(Self.topology()) { lab in
                let more = try lab.file("more.yaml", Self.topology(c))
                let same = try lab.heddle("topology", "plan", lab.directory + "/topology.yaml")
                #expect(same.status == 0)
                #expect(same.text == "nothing to do\n")
                let plan = try lab.heddle("topology", "plan", more)
                #expect(plan.status == 2)
                #expect(plan.text.contains("+ port c"), "\(plan.text)")
                #expect(try lab.namespaces() == ["a", "b"], "a plan changes nothing")

                #expect(try lab.apply(more).contains("+ port c"))
                #expect(try lab.devices(in: "c") == ["c"])
                let index = try lab.index(of: "c", in: "c")
                #expect(try lab.apply(more).contains("nothing to"))
                #expect(try lab.heddle("topology", "plan", more).status == 0)
                #expect(try lab.index(of: "c", in: "c") == index)

                try lab.apply(lab.directory + "/topology.yaml")
                #expect(try lab.namespaces() == ["a", "b"], "what was added is gone")
                #expect(try lab.json("port", "list", as: PortList.self).ports.count == 2)
            }
        }

        @Test("a hundred applies around two ports lose and repeat none of their datagrams")
        func hundredApplies() throws {
            try withTopology(Self.topology()) { lab in
                let stream = try lab.stream(from: "a", to: receiver)
                let indices = try ["a", "b"].map { try lab.index(of: $0, in: $0) }
                for round in 0..<100 {
                    var more = ""
                    // Ports come, go, and change their address, network and isolation.
                    for port in 0..<4 where (round + port) % 4 != 0 {
                        let network = (round / 3 + port) % 2 == 0 ? "green" : "blue"
                        let isolated = (round + port) % 5 == 0
                        more +=
                            "  x\(port): {network: \(network), isolated: \(isolated), "
                            + "tap: {namespace: x\(port), address: "
                            + "[10.2.\(round % 7).\(port + 1)/24]}}\n"
                    }
                    let file = try lab.file(
                        "round.yaml", Self.topology(more, mtu: 1400 + round % 3 * 50))
                    try lab.apply(file)
                }
                let account = try stream.finish()
                #expect(account.isPerfect, "\(account)")
                #expect(account.sent > 1000)
                #expect(try ["a", "b"].map { try lab.index(of: $0, in: $0) } == indices)
                try lab.apply(lab.directory + "/topology.yaml")
                #expect(try lab.namespaces() == ["a", "b"])
            }
        }

        @Test("an address, an MTU and a membership change in place: the device stays")
        func inPlace() throws {
            func c(_ network: String, _ address: String) -> String {
                "  c: {network: \(network), tap: {namespace: c, address: [\(address)]}}"
            }
            try withTopology(Self.topology(c("green", "10.1.0.3/24"))) { lab in
                let index = try lab.index(of: "c", in: "c")
                #expect(try !lab.ping(from: "a", "10.1.0.3"), "another network")

                try lab.apply(try lab.file("1.yaml", Self.topology(c("blue", "10.1.0.3/24"))))
                #expect(try lab.ping(from: "a", "10.1.0.3"), "the membership changed")
                try lab.apply(try lab.file("2.yaml", Self.topology(c("blue", "10.1.0.4/24"))))
                #expect(try lab.ping(from: "a", "10.1.0.4"), "the address changed")
                #expect(try !lab.ping(from: "a", "10.1.0.3"), "the old one is gone")
                // The kernel takes a subnet's other addresses away with its first one.
                try lab.apply(
                    try lab.file(
                        "2b.yaml", Self.topology(c("blue", "10.1.0.4/24, 10.1.0.5/24"))))
                try lab.apply(try lab.file("2c.yaml", Self.topology(c("blue", "10.1.0.5/24"))))
                #expect(try lab.ping(from: "a", "10.1.0.5"), "a second address stays")
                try lab.apply(try lab.file("2d.yaml", Self.topology(c("blue", "10.1.0.4/24"))))
                try lab.apply(
                    try lab.file("3.yaml", Self.topology(c("green", "10.1.0.4/24"), mtu: 1400)))
                #expect(try lab.sh("ip -o link show c", in: "c").contains(" mtu 1400 "))
                #expect(try lab.port("c").mtu == 1400)
                #expect(try !lab.ping(from: "a", "10.1.0.4"), "back in the other network")
                #expect(try lab.index(of: "c", in: "c") == index)
            }
        }

        @Test("an apply that fails is undone to the last namespace, and says both")
        func undone() throws {
            try withTopology(Self.topology()) { lab in
                try lab.sh(
                    "ip netns add foreign && ip -n foreign link add name taken type veth peer name other"
                )
                let stream = try lab.stream(from: "a", to: receiver)
                let index = try lab.index(of: "taken", in: "foreign")
                let bad = try lab.file(
                    "bad.yaml",
                    Self.topology(
                        """
                          c: {network: blue, tap: {namespace: c, address: [10.1.0.3/24]}}
                          taken: {network: blue, tap: {namespace: foreign, device: taken}}
                        """, mtu: 1400
                    ).replacingOccurrences(of: "10.1.0.1/24", with: "10.1.0.1/24, 10.1.0.9/24"))
                let apply = try lab.heddle("topology", "apply", bad)
                #expect(apply.status == 1)
                let said = apply.standardError
                #expect(said.contains("device 'taken' exists in namespace 'foreign'"), "\(said)")
                #expect(said.contains("is a veth device, which Heddle did not make"), "\(said)")
                #expect(said.contains("everything done before it was undone"), "\(said)")

                #expect(try lab.namespaces() == ["a", "b", "foreign"])
                #expect(try !lab.sh("ip -o address show dev a", in: "a").contains("10.1.0.9"))
                #expect(try lab.index(of: "taken", in: "foreign") == index)
                let ports = try lab.json("port", "list", as: PortList.self).ports
                #expect(ports.map(\.name) == ["a", "b"])
                let plan = try lab.heddle("topology", "plan", lab.directory + "/topology.yaml")
                #expect(plan.status == 0, "the switch is as it was: \(plan.text)")
                let account = try stream.finish()
                #expect(account.isPerfect, "\(account)")
                try lab.sh("ip netns delete foreign")
            }
        }

        static let badFiles: [(String, String)] = [
            ("heddle: 1\nnetworks: {blue: {vlan: 4095}}\n", ":2:25: "),  // a reserved VLAN
            ("heddle: 1\nnetworks: {blue: {vlna: 10}}\n", "did you mean 'vlan'"),  // an unknown key
            ("heddle: 1\nnetworks: {blue: {}}\nports:\n  a: {network: bleu, tap: {}}\n", ":4:"),
            ("heddle: 1\nheddle: 1\n", ":2:1: "),  // a key twice
            ("heddle: 2\n", ":1:9: "),  // a version that nobody knows
            ("\u{0}\u{1}\u{7F}junk", ": "),  // binary junk
        ]

        @Test("a bad file is one located line and exit 1, and the running switch is unharmed")
        func badFiles() throws {
            try withTopology(Self.topology()) { lab in
                let stream = try lab.stream(from: "a", to: receiver)
                for (place, (text, expected)) in Self.badFiles.enumerated() {
                    let file = try lab.file("bad-\(place).yaml", text)
                    for command in ["plan", "apply"] {
                        let output = try lab.heddle("topology", command, file)
                        let lines = output.standardError.split(separator: "\n")
                        #expect(output.status == 1)
                        #expect(lines.count == 1, "\(lines)")
                        #expect(lines.first?.hasPrefix("heddle: \(file):") == true, "\(lines)")
                        #expect(lines.first?.contains(expected) == true, "\(lines)")
                    }
                }
                let missing = try lab.heddle("topology", "apply", "/nonexistent.yaml")
                #expect(missing.status == 1)
                #expect(missing.standardError.hasPrefix("heddle: /nonexistent.yaml: "))
                let account = try stream.finish()
                #expect(account.isPerfect, "\(account)")
                let plan = try lab.heddle("topology", "plan", lab.directory + "/topology.yaml")
                #expect(plan.status == 0)
            }
        }

        @Test("SIGHUP applies the file again; a file that has become bad changes nothing")
        func hangUp() throws {
            try Lab.with { lab in
                let file = try lab.file("topology.yaml", Self.topology())
                let process = try lab.startSwitch(file)
                let c = "  c: {network: blue, tap: {namespace: c, address: [10.1.0.3/24]}}"
                _ = try lab.file("topology.yaml", Self.topology(c))
                try process.send(SIGHUP)
                try process.wait("the file is applied") { _ in
                    try lab.json("port", "list", as: PortList.self).ports.count == 3
                }
                #expect(try lab.ping(from: "a", "10.1.0.3"))
                _ = try lab.file("topology.yaml", "heddle: 1\nprts: {}\n")
                try process.send(SIGHUP)
                try process.wait("the complaint") { $0.standardError.contains(":2:1: ") }
                #expect(try lab.ping(from: "a", "10.1.0.3"))
                try process.finish()
                #expect(try lab.leftovers() == [])
            }
        }
    }
}
