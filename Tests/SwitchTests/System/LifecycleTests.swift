import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Start, end and crash")
    struct Lifecycle {
        private static func topology(_ ports: String) -> String {
            "heddle: 1\nnetworks: {blue: {vlan: 10}}\nports:\n" + ports
        }

        private static let pair = topology(
            """
              a: {network: blue, tap: {namespace: a, address: [10.1.0.1/24]}}
              b: {network: blue, tap: {namespace: b, address: [10.1.0.2/24]}}
              here: {network: blue, tap: {address: [10.1.0.3/24]}}

            """)

        /// Devices and a namespace that are none of Heddle's business.
        private func addForeign(_ lab: Lab) throws {
            try lab.sh(
                """
                ip netns add foreign
                ip link add name veth-x type veth peer name veth-y
                ip tuntap add dev tap-x mode tap
                ip -n foreign tuntap add dev a mode tap
                """)
        }

        private func checkForeign(_ lab: Lab) throws {
            #expect(try Set(lab.devices()) == ["veth-x", "veth-y", "tap-x"])
            #expect(try lab.namespaces() == ["foreign"])
            #expect(try lab.devices(in: "foreign") == ["a"])
        }

        @Test(
            "the end by a signal removes what Heddle made and nothing else",
            arguments: [SIGTERM, SIGINT])
        func cleanEnd(_ number: Int32) throws {
            try Lab.with { lab in
                try addForeign(lab)
                let process = try lab.startSwitch(try lab.file("t.yaml", Self.pair))
                #expect(try lab.devices().contains("here"))
                #expect(try lab.namespaces() == ["a", "b", "foreign"])
                try process.finish(number)
                try checkForeign(lab)
            }
        }

        @Test("after kill -9 the next start adopts the devices, and connections survive")
        func adoption() throws {
            try Lab.with { lab in
                let file = try lab.file("t.yaml", Self.pair)
                let first = try lab.startSwitch(file)
                let indices = try ["a", "b"].map { try lab.index(of: $0, in: $0) }
                let macs = try ["a", "b", "here"].map { try lab.port($0).mac }
                let numbers = try ["a", "b", "here"].map { try lab.port($0).number }
                let listener = try lab.peer(["tcp-receive", "7000"], in: "b")
                let sender = try lab.peer(
                    ["tcp-send", "10.1.0.2", "7000", "3000000", "1000000"], in: "a")
                let stream = try lab.stream(from: "b", to: Host("a", "10.1.0.1"))
                usleep(500_000)
                try first.send(SIGKILL)
                #expect(try first.waitForEnd() == -SIGKILL)
                #expect(try lab.devices(in: "a") == ["a"], "TAPs outlive a crash")

                let second = try lab.startSwitch(file)
                #expect(try ["a", "b"].map { try lab.index(of: $0, in: $0) } == indices)
                #expect(try ["a", "b", "here"].map { try lab.port($0).mac } == macs)
                #expect(try ["a", "b", "here"].map { try lab.port($0).number } == numbers)
                try sender.waitForEnd(seconds: 20)
                #expect(
                    sender.output.contains(#""sent":3000000,"acknowledged":3000000"#),
                    "\(sender.output)")
                try listener.finish()
                let account = try stream.finish()
                #expect(account.last == account.sent - 1, "it goes on after the gap: \(account)")
                #expect(account.duplicates == 0 && account.reordered == 0)
                #expect(account.missing < 3000, "the gap is a start long: \(account)")
                try second.finish()
                #expect(try lab.leftovers() == [])
            }
        }

        @Test("after kill -9 another topology removes what bears the mark, and nothing else")
        func otherTopologyAfterCrash() throws {
            try Lab.with { lab in
                try addForeign(lab)
                let other = Self.topology(
                    "  c: {network: blue, tap: {namespace: c, address: [10.1.0.9/24]}}\n")
                let first = try lab.startSwitch(try lab.file("t.yaml", Self.pair))
                try first.send(SIGKILL)
                try first.waitForEnd()
                // Somebody else's TAP bears a recorded name by now, but not the mark.
                try lab.sh("ip link delete here && ip tuntap add dev here mode tap")
                let second = try lab.startSwitch(try lab.file("o.yaml", other))
                #expect(try lab.namespaces() == ["c", "foreign"])
                #expect(try Set(lab.devices()) == ["veth-x", "veth-y", "tap-x", "here"])
                #expect(try lab.devices(in: "foreign") == ["a"])
                try second.finish()
                try lab.sh("ip link delete here")
                try checkForeign(lab)
            }
        }

        @Test("a namespace and a persistent TAP that were there are used and stay")
        func foreignIsUsed() throws {
            try Lab.with { lab in
                try lab.sh(
                    """
                    ip netns add ready
                    ip -n ready tuntap add dev theirs mode tap
                    ip -n ready address add 10.1.0.50/24 dev theirs
                    """)
                let index = try lab.index(of: "theirs", in: "ready")
                let process = try lab.startSwitch(
                    try lab.file(
                        "t.yaml",
                        Self.topology(
                            """
                              a: {network: blue, tap: {namespace: a, address: [10.1.0.1/24]}}
                              their: {network: blue, tap: {namespace: ready, device: theirs, address: [10.1.0.51/24]}}
                              ours: {network: blue, tap: {namespace: ready}}

                            """)))
                #expect(try lab.ping(from: "a", "10.1.0.50"))
                #expect(try lab.ping(from: "a", "10.1.0.51"))
                #expect(try Set(lab.devices(in: "ready")) == ["theirs", "ours"])
                try process.finish()
                #expect(try lab.namespaces() == ["ready"])
                #expect(try lab.devices(in: "ready") == ["theirs"])
                #expect(try lab.index(of: "theirs", in: "ready") == index)
                let addresses = try lab.sh("ip -o address", in: "ready")
                #expect(addresses.contains("10.1.0.50/24") && !addresses.contains("10.1.0.51/24"))
            }
        }

        @Test(
            "a start on a device that is not ours, or on bad input, is refused and leaves nothing")
        func refusedStarts() throws {
            try Lab.with { lab in
                try lab.sh("ip link add name taken type veth peer name other")
                let taken = try lab.launchSwitch(
                    try lab.file(
                        "t.yaml",
                        Self.topology(
                            """
                              a: {network: blue, tap: {namespace: a}}
                              taken: {network: blue, tap: {}}

                            """)))
                #expect(try taken.waitForEnd() == 1)
                #expect(taken.standardError.contains("device 'taken' exists and is a veth"))
                #expect(try lab.namespaces() == [])
                #expect(try Set(lab.devices()) == ["taken", "other"])

                let bad = try lab.launchSwitch(try lab.file("bad.yaml", "heddle: 1\nprts: {}\n"))
                #expect(try bad.waitForEnd() == 1)
                #expect(bad.standardError.hasPrefix("heddle: \(lab.directory)/bad.yaml:2:1: "))
                let missing = try lab.launchSwitch("/nonexistent.yaml")
                #expect(try missing.waitForEnd() == 1)
                #expect(missing.standardError.hasPrefix("heddle: /nonexistent.yaml: "))
            }
        }

        @Test("a second daemon on the socket is refused by name; the first goes on")
        func secondDaemon() throws {
            try withTopology(Self.pair) { lab in
                let second = try lab.launchSwitch(lab.directory + "/topology.yaml")
                #expect(try second.waitForEnd() == 1)
                let pid = try lab.json("version", as: VersionInfo.self).pid
                #expect(
                    second.standardError.contains("(process \(pid)) is running here"),
                    "\(second.standardError)")
                #expect(second.standardError.contains("/run/heddle/heddle.sock"))
                #expect(try lab.ping(from: "a", "10.1.0.2"))
            }
        }

        @Test("without a file the stored topology starts; with none stored, an empty switch")
        func storedTopology() throws {
            try Lab.with { lab in
                let empty = try lab.startSwitch(nil)
                #expect(try lab.json("port", "list", as: PortList.self).ports.isEmpty)
                try lab.apply(try lab.file("t.yaml", Self.pair))
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                let mac = try lab.port("a").mac
                try empty.finish()
                #expect(try lab.leftovers() == [])
                let again = try lab.startSwitch(nil)
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                #expect(try lab.port("a").mac == mac, "addresses are stable")
                try again.finish()
                #expect(try lab.leftovers() == [])
            }
        }

        @Test("a state file of another version is refused by name and left alone")
        func unknownState() throws {
            try Lab.with { lab in
                let state = #"{"version":99,"from":"the future"}"#
                try lab.sh(
                    "mkdir /run/heddle-state && echo '\(state)' >/run/heddle-state/state.json")
                let process = try lab.launchSwitch(try lab.file("t.yaml", Self.pair))
                #expect(try process.waitForEnd() == 1)
                #expect(process.standardError.contains("/run/heddle-state/state.json"))
                #expect(process.standardError.contains("version 99"))
                #expect(try lab.sh("cat /run/heddle-state/state.json") == state + "\n")
                #expect(try lab.leftovers() == [])
            }
        }
    }
}
