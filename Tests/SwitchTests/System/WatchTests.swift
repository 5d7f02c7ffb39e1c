import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Events, loops, and who is where")
    struct Watch {
        /// Hosts a and b of one network, and two ports whose far ends can be joined in a bridge.
        private static func topology(_ bridge: String = "", more: String = "") -> String {
            """
            heddle: 1
            \(bridge)
            networks:
              blue: {vlan: 10}
              green: {vlan: 20}
            ports:
              a: {network: blue, tap: {namespace: a, address: [10.1.0.1/24]}}
              b: {network: blue, tap: {namespace: b, address: [10.1.0.2/24]}}
              left: {network: blue, tap: {namespace: loop}}
              right: {network: blue, veth: {namespace: loop}}
            \(more)
            """
        }

        /// Joins the far ends of left and right, as somebody does by accident.
        private static let join = """
            ip link add br0 type bridge forward_delay 0
            ip link set left master br0
            ip link set right master br0
            ip link set br0 up
            """

        private func events(_ lab: Lab, _ kind: EventKind) throws -> [EventInfo] {
            try lab.json("events", "--kind", kind.rawValue, as: EventList.self).events
        }

        /// Waits for an event; nil when none comes in time.
        private func event(
            _ lab: Lab, _ kind: EventKind, seconds: Double = 5,
            where matches: (EventInfo) -> Bool = { _ in true }
        ) throws -> EventInfo? {
            let end = ContinuousClock.now + .seconds(seconds)
            repeat {
                if let found = try events(lab, kind).last(where: matches) { return found }
                usleep(50_000)
            } while ContinuousClock.now < end
            return nil
        }

        /// One broadcast from a host.
        private func broadcast(_ lab: Lab, from host: String, count: Int = 1) throws {
            let mac = try #require(try lab.port(host).mac).replacing(":", with: "")
            let frame = "ffffffffffff" + mac + "88b5" + String(repeating: "00", count: 46)
            _ = try lab.run(
                [Lab.peerPath, "frames", host] + [String](repeating: frame, count: count),
                in: host)
        }

        private func milliseconds(_ text: String) throws -> Double {
            let date = try Date(
                text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
            return date.timeIntervalSince1970 * 1000
        }

        // MARK: Loops

        @Test("two ports that are joined outside are named within a second of the storm's start")
        func loop() throws {
            try withTopology(Self.topology()) { lab in
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                #expect(try events(lab, .loop).isEmpty, "there is none yet")
                try lab.sh(Self.join, in: "loop")
                // The probe that ports send when they come up was before; what follows is the storm.
                let start = Date().timeIntervalSince1970 * 1000
                try broadcast(lab, from: "a")
                let found = try #require(try event(lab, .loop))
                #expect(Set([found.port, found.otherPort]) == ["left", "right"])
                #expect(found.network == "blue" && found.severity == .error)
                #expect(found.sentence.contains("'left'") && found.sentence.contains("'right'"))
                #expect(found.remedy?.contains("loop-hold") == true)
                let after = try milliseconds(found.firstTime) - start
                #expect(after < 1_000, "told \(after) ms after the first frame")
                #expect(try lab.port("left").state == .up && lab.port("right").state == .up)
                #expect(try events(lab, .portHeld).isEmpty, "nobody asked for that")
                try lab.sh("ip link set right nomaster", in: "loop")
            }
        }

        @Test("with 'loop-hold' the younger access port of a loop is taken down, and comes back")
        func hold() throws {
            try withTopology(Self.topology("switch: {loop-hold: 3s}")) { lab in
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                try lab.sh(Self.join, in: "loop")
                try broadcast(lab, from: "a")
                let held = try #require(try event(lab, .portHeld))
                #expect(held.port == "right")
                #expect(held.sentence.contains("held down for 3 s"))
                let port = try lab.port("right")
                #expect(port.state == .down)
                #expect(
                    port.reason?.contains("held down for 3 s: it is in a loop with port 'left'")
                        == true)
                let list = try lab.heddle("port", "list")
                #expect(list.text.contains("right: held down for 3 s"))
                // Meanwhile the others talk, and the storm is over.
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                let before = try lab.port("left").counters.receivedFrames
                usleep(300_000)
                #expect(try lab.port("left").counters.receivedFrames < before + 100)
                // It is asked again when it comes back, and held again while the loop is there.
                #expect(try event(lab, .portReleased) != nil)
                #expect(try event(lab, .portHeld, where: { $0.number > held.number }) != nil)
                try lab.sh("ip link set right nomaster", in: "loop")
                #expect(try lab.port("right", becomes: .up))
                usleep(500_000)
                #expect(try lab.port("right").state == .up, "the loop is gone")
                #expect(try lab.ping(from: "a", "10.1.0.2"))
            }
        }

        @Test("a loop through one port is found when it is looked for, and when hosts seem to move")
        func reflector() throws {
            try withTopology(Self.topology("switch: {loop-probe: 1s}")) { lab in
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                // What comes to 'left' goes back where it came from.
                try lab.sh(
                    """
                    ip link add br0 type bridge forward_delay 0
                    ip link set left master br0
                    ip link set left type bridge_slave hairpin on
                    ip link set br0 up
                    """, in: "loop")
                let found = try #require(try event(lab, .loop))
                #expect(found.port == "left" && found.otherPort == nil)
                #expect(found.sentence.contains("comes back"))
            }
        }

        @Test("two networks that are joined outside are told as that")
        func joinedNetworks() throws {
            let more = "  other: {network: green, veth: {namespace: loop}}"
            try withTopology(Self.topology("switch: {loop-probe: 1s}", more: more)) { lab in
                try lab.sh(
                    Self.join.replacing(
                        "ip link set right master", with: "ip link set other master"),
                    in: "loop")
                let found = try #require(try event(lab, .loop))
                #expect(Set([found.port, found.otherPort]) == ["left", "other"])
                #expect(found.sentence.contains("'blue'") && found.sentence.contains("'green'"))
            }
        }

        // MARK: Addresses

        @Test("an address that moves, one that two hosts have, and one MAC address at two ports")
        func addresses() throws {
            try withTopology(Self.topology()) { lab in
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                let mac = try #require(try lab.port("a").mac)
                // The host moves to another port, as after a migration.
                try lab.sh("ip link set dev a down", in: "a")
                try lab.sh(
                    """
                    ip link set left down
                    ip link set left address \(mac)
                    ip link set left up
                    ip address add 10.1.0.1/24 dev left
                    ping -q -c 1 -W 1 10.1.0.2
                    """, in: "loop")
                let moved = try #require(try event(lab, .macMove) { $0.sentence.contains(mac) })
                #expect(moved.port == "left" && moved.otherPort == "a" && moved.network == "blue")
                #expect(try events(lab, .duplicateAddress).isEmpty, "it is at one place")

                // And now it is at both.
                try lab.sh(
                    "ip link set dev a up && ip address add 10.1.0.1/24 dev a || true", in: "a")
                for _ in 0..<8 {
                    _ = try lab.run(["ping", "-q", "-c", "1", "-W", "1", "10.1.0.2"], in: "a")
                    try broadcast(lab, from: "a")
                    _ = try lab.run(["ping", "-q", "-c", "1", "-W", "1", "10.1.0.2"], in: "loop")
                    usleep(200_000)
                }
                let twice = try #require(
                    try event(lab, .duplicateAddress) { $0.sentence.contains(mac) })
                #expect(Set([twice.port, twice.otherPort]) == ["a", "left"])

                // Another host takes b's address.
                try lab.sh("ip address add 10.1.0.2/24 dev right", in: "loop")
                for (namespace, address) in [("b", "10.1.0.77"), ("loop", "10.1.0.78")] {
                    let device = namespace == "b" ? "b" : "right"
                    _ = try lab.run(
                        ["ping", "-q", "-c", "1", "-W", "1", "-I", device, address],
                        in: namespace)
                }
                let claimed = try event(lab, .duplicateAddress) {
                    $0.sentence.contains("10.1.0.2 ")
                }
                #expect(claimed?.network == "blue")
            }
        }

        @Test("who has an address, a MAC address and a name, declared and heard")
        func who() throws {
            let more =
                "  silent: {network: green, tap: {namespace: silent, address: [10.2.0.9/24]}}"
            try withTopology(Self.topology(more: more)) { lab in
                func who(_ query: String) throws -> WhoResult {
                    try lab.json("who", query, as: WhoResult.self)
                }
                #expect(try lab.ping(from: "a", "10.1.0.2"))
                usleep(400_000)
                let station = try #require(try who("10.1.0.1").stations.first)
                let mac = try #require(try lab.port("a").mac)
                #expect(station.port == "a" && station.network == "blue" && station.vlan == 10)
                #expect(station.mac == mac && station.namespace == "a")
                #expect(
                    station.addresses.contains {
                        $0.address == "10.1.0.1" && $0.source == "declared"
                    })
                #expect(
                    station.addresses.contains { $0.address == "10.1.0.1" && $0.source == "arp" })
                #expect(try #require(station.portSinceSeconds) < 60)
                #expect(station.fdb?.hasPrefix("dynamic at port a") == true)
                #expect(station.duplicates.isEmpty)
                for query in [mac, mac.uppercased(), "a"] {
                    #expect(try who(query).stations.first?.mac == mac, "\(query)")
                }
                #expect(try who("blue").stations.count >= 2)
                #expect(try who("a").matched == "port")

                // What is only declared.
                let silent = try #require(try who("10.2.0.9").stations.first)
                #expect(silent.port == "silent" && silent.network == "green")

                // An address that nobody declared.
                try lab.sh(
                    """
                    ip address add 10.1.0.50/24 dev left
                    ping -q -c 1 -W 1 10.1.0.2
                    """, in: "loop")
                usleep(400_000)
                let heard = try #require(try who("10.1.0.50").stations.first)
                #expect(heard.port == "left")
                #expect(
                    heard.addresses.contains { $0.address == "10.1.0.50" && $0.source == "arp" })

                let unknown = try lab.heddle("who", "10.1.0.99")
                #expect(unknown.status == 1)
                #expect(unknown.standardError.contains("nothing is known of '10.1.0.99'"))
                #expect(unknown.standardError.contains("ping it from its network"))
                #expect(try lab.heddle("who", "nobody").status == 1)
                let table = try lab.heddle("who", "10.1.0.1")
                #expect(table.text.contains("address:") && table.text.contains("(declared)"))
            }
        }

        @Test("a host's name from DHCP finds it")
        func hostName() throws {
            try withTopology(Self.topology()) { lab in
                let mac = try #require(try lab.port("a").mac).replacing(":", with: "")
                // A DHCP request for 10.1.0.40 from a host that calls itself web.
                let dhcp =
                    "01010600" + "11223344" + "00000000" + "00000000" + "00000000"
                    + "0000000000000000" + mac + String(repeating: "00", count: 202)
                    + "63825363" + "350103" + "32040a010028" + "0c03776562" + "ff"
                let count = dhcp.count / 2
                func word(_ value: Int) -> String { String(format: "%04x", value) }
                let packet =
                    "4500" + word(28 + count) + "0000000040110000" + "00000000ffffffff" + "00440043"
                    + word(8 + count) + "0000" + dhcp
                _ = try lab.run(
                    [Lab.peerPath, "frames", "a", "ffffffffffff" + mac + "0800" + packet], in: "a")
                usleep(500_000)
                let found = try lab.json("who", "WEB", as: WhoResult.self)
                #expect(found.matched == "host name")
                #expect(found.stations.first?.port == "a")
                #expect(
                    found.stations.first?.addresses.contains { $0.address == "10.1.0.40" } == true)
            }
        }

        @Test("a station at another host is found by tunnel and host, heard or declared only")
        func otherHost() throws {
            try TwoHosts.with { hosts in
                usleep(400_000)
                func who(_ query: String) throws -> StationInfo {
                    let output = try hosts.underlay.heddle(
                        on: "alpha", "who", query, "--output", "json")
                    return try #require(
                        try WhoResult(json: output.standardOutput).stations.first)
                }
                let heard = try who("10.9.0.2")
                #expect(heard.host == "beta" && heard.tunnel == "vxlan:beta")
                #expect(heard.port == "web-2" && heard.network == "blue")
                #expect(heard.fdb?.hasPrefix("dynamic at tunnel vxlan:beta") == true)
                let declared = try who("10.9.0.4")
                #expect(declared.host == "beta" && declared.tunnel == "vxlan:beta")
                #expect(declared.port == "db-2" && declared.network == "green")
                #expect(try who("10.9.0.1").host == nil)
            }
        }

        // MARK: Events

        @Test("applies, failures, ports that come, go, fail and return are events")
        func states() throws {
            try withTopology(Self.topology()) { lab in
                #expect(try events(lab, .apply).count == 1)
                #expect(try events(lab, .portAttached).map(\.port) == ["a", "b", "left", "right"])

                try lab.sh("ip link set dev a down", in: "a")
                let down = try #require(try event(lab, .portDown))
                #expect(down.port == "a" && down.sentence.contains("is down in its namespace"))
                try lab.sh("ip link set dev a up", in: "a")
                #expect(try event(lab, .portUp)?.port == "a")

                let attached = try lab.heddle(
                    "port", "attach", "c", "--network", "blue", "--namespace", "c")
                #expect(attached.status == 0)
                #expect(try lab.heddle("port", "detach", "c").status == 0)
                #expect(try events(lab, .portDetached).map(\.port) == ["c"])

                // A device that is in the way: the apply is undone.
                try lab.sh("ip netns add d && ip -n d link add dev d type bridge")
                let file = try lab.file(
                    "d.yaml", Self.topology(more: "  d: {network: blue, tap: {namespace: d}}"))
                #expect(try lab.heddle("topology", "apply", file).status == 1)
                let rollback = try #require(try events(lab, .rollback).last)
                #expect(rollback.severity == .error && rollback.sentence.contains("port d"))
                try lab.sh("ip netns del d")
            }
        }

        @Test("'events --watch' prints each as it happens")
        func watching() throws {
            try withTopology(Self.topology()) { lab in
                let watcher = try lab.start(
                    [
                        Lab.heddlePath, "events", "--watch", "--kind", "port-down", "--output",
                        "json",
                    ])
                usleep(500_000)
                try lab.sh("ip link set dev a down", in: "a")
                try watcher.wait("the event is printed", seconds: 5) {
                    $0.output.contains("\n")
                }
                let event = try EventInfo(
                    json: Array(watcher.output.split(separator: "\n")[0].utf8))
                #expect(event.kind == "port-down" && event.port == "a")
                #expect(watcher.output.split(separator: "\n").count == 1)
            }
        }

        @Test("drops that jump and a port that is out of addresses are told")
        func dropsAndAddresses() throws {
            let topology = Self.topology("switch: {port-fdb-limit: 100}")
            try withTopology(topology) { lab in
                _ = try lab.run(
                    [Lab.peerPath, "flood", "left", "3000", "2"], in: "loop", timeoutSeconds: 20)
                let full = try #require(try event(lab, .fdbFull))
                #expect(full.port == "left" && full.sentence.contains("port 'left'"))

                // A tag on an access port, a thousand times.
                let mac = try #require(try lab.port("a").mac).replacing(":", with: "")
                let tagged =
                    "ffffffffffff" + mac + "8100000a88b5" + String(repeating: "00", count: 46)
                _ = try lab.run(
                    [Lab.peerPath, "frames", "a"] + [String](repeating: tagged, count: 1000),
                    in: "a")
                let spike = try #require(try event(lab, .dropSpike) { $0.port == "a" })
                #expect(spike.sentence.contains("tag-on-access") && spike.remedy != nil)
            }
        }

        @Test("the switch's own address is in no listing and nobody can take it")
        func ownAddress() throws {
            try withTopology(Self.topology()) { lab in
                // The namespaces' own chatter may teach an address between the two counts.
                var counts: (listed: Int, counted: UInt64) = (0, .max)
                for _ in 0..<20 where UInt64(counts.listed) != counts.counted {
                    let entries = try lab.json("fdb", "list", as: FDBList.self).entries
                    #expect(entries.allSatisfy { ["a", "b", "left", "right"].contains($0.port) })
                    let stats = try lab.json("stats", as: StatsInfo.self)
                    counts = (entries.count, stats.fdb.entries)
                }
                #expect(UInt64(counts.listed) == counts.counted)
                let network = try lab.json("network", "show", "green", as: NetworkInfo.self)
                #expect(network.fdbEntries == 0)
                // It is found in a probe, which every port gets when it comes up.
                let peer = try lab.peer(["watch", "a"], in: "a")
                try lab.sh("ip link set dev a down && sleep 0.3 && ip link set dev a up", in: "a")
                usleep(700_000)
                try peer.finish()
                let own = try #require(
                    try LoggedFrame.log(of: peer).first { $0.to == "03:68:65:64:64:6c" }?.from)
                for arguments in [["add", "blue", own, "a"], ["delete", "blue", own]] {
                    let output = try lab.run([Lab.heddlePath, "fdb"] + arguments)
                    #expect(output.status == 1)
                    #expect(output.standardError.contains("the switch's own address"))
                }
            }
        }
    }
}
