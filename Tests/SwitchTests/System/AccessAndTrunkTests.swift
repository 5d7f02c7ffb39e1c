import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("access-and-trunk.yaml")
    struct AccessAndTrunk {
        private let green = LoggedFrame.Tag(vid: 20)

        @Test("the trunk's members see exactly the tags that they should, and answer with them")
        func exactTags() throws {
            try withExample("access-and-trunk") { lab in
                let peer = try lab.peer(
                    ["trunk", "fw-1", "10.30.0.254/20", "10.20.0.253/-", "10.20.0.252/p5"],
                    in: "fw-1")
                let web = try lab.port("web-1").mac
                let db = try lab.port("db-1").mac
                let listener = try lab.peer(["watch", "db-1"], in: "db-1")
                #expect(try lab.ping(from: "db-1", "10.30.0.254"), "tagged both ways")
                #expect(try lab.ping(from: "web-1", "10.20.0.253"), "untagged both ways")
                #expect(try lab.ping(from: "web-1", "10.20.0.254"), "the firewall's own address")
                #expect(try lab.ping(from: "web-1", "10.20.0.252"), "its answers carry VID 0")
                try peer.finish()
                try listener.finish()

                let log = try LoggedFrame.log(of: peer)
                let fromGreen = log.filter { $0.from == db }
                #expect(fromGreen.count >= 3)
                #expect(fromGreen.allSatisfy { $0.tags == [green] }, "\(fromGreen)")
                let fromBlue = log.filter { $0.from == web }
                #expect(fromBlue.count >= 6)
                #expect(fromBlue.allSatisfy { $0.tags.isEmpty }, "native is untagged: \(fromBlue)")
                let atAccess = try LoggedFrame.log(of: listener)
                #expect(atAccess.count >= 2)
                #expect(atAccess.allSatisfy { $0.tags.isEmpty }, "access ports get no tag")
            }
        }

        @Test("no network leaks into the other, though both are in one subnet")
        func isolation() throws {
            let hosts = [
                Host("web-1", "10.20.0.1"), Host("web-2", "10.20.0.2"),
                Host("fw-1", "10.20.0.254"), Host("db-1", "10.20.0.71"),
                Host("db-2", "10.20.0.72"),
            ]
            try withExample("access-and-trunk") { lab in
                try lab.sh("ip address add 10.20.0.71/24 dev db-1", in: "db-1")
                try lab.sh("ip address add 10.20.0.72/24 dev db-2", in: "db-2")
                let expected = pairs(within: [Array(hosts[..<3]), Array(hosts[3...])])
                #expect(try lab.pings(among: hosts) == expected)
                #expect(try lab.connections(among: hosts) == expected)
            }
        }

        /// A frame of an experimental type with a marker, from the firewall's made-up host.
        private func frame(to destination: String, tag: String, marker: UInt8) -> String {
            destination.filter { $0 != ":" } + "0600000000f1" + tag + "88b5"
                + String(repeating: String(format: "%02x", marker), count: 46)
        }

        @Test("at ingress: native tagged or priority-tagged is accepted, a wrong tag is dropped")
        func ingress() throws {
            try withExample("access-and-trunk") { lab in
                let web = try #require(try lab.port("web-1").mac)
                let db = try #require(try lab.port("db-1").mac)
                #expect(try lab.ping(from: "web-1", "10.20.0.2"))
                let atWeb = try lab.peer(["watch", "web-1"], in: "web-1")
                let atGreen = try lab.peer(["watch", "db-1"], in: "db-1")
                func send(_ frames: String..., from namespace: String) throws {
                    let sent = try lab.run(
                        [Lab.peerPath, "frames", namespace] + frames, in: namespace)
                    #expect(sent.status == 0, "\(sent.standardError)")
                }
                try send(
                    frame(to: web, tag: "", marker: 0xA1),  // native, untagged
                    frame(to: web, tag: "8100000a", marker: 0xA2),  // native, tagged 10
                    frame(to: web, tag: "8100e000", marker: 0xA3),  // VID 0, priority 7
                    frame(to: web, tag: "81000014", marker: 0xB1),  // green's tag, blue's host
                    frame(to: db, tag: "81006014", marker: 0xA4),  // green, priority 3
                    frame(to: web, tag: "8100001e", marker: 0xB2),  // VLAN 30 is nobody's
                    frame(to: web, tag: "81000fff", marker: 0xB3),  // reserved
                    from: "fw-1")
                try send(
                    frame(to: web, tag: "8100000a", marker: 0xB4),  // a tag at an access port
                    frame(to: web, tag: "8100a000", marker: 0xA5),  // VID 0 is no tag
                    from: "web-2")
                usleep(300_000)
                try atWeb.finish()
                try atGreen.finish()

                func markers(_ peer: LabProcess, to address: String) throws -> [String] {
                    try LoggedFrame.log(of: peer)
                        .filter { $0.type == 0x88B5 && $0.to == address && $0.tags.isEmpty }
                        .map { String($0.bytes.suffix(2)) }
                }
                #expect(try markers(atWeb, to: web) == ["a1", "a2", "a3", "a5"])
                #expect(try markers(atGreen, to: db) == ["a4"])
                #expect(try LoggedFrame.log(of: atWeb).allSatisfy { $0.tags.isEmpty })

                #expect(try lab.drops("vlan-not-allowed", port: "fw-1") == 1)
                #expect(try lab.drops("reserved-vlan", port: "fw-1") == 1)
                #expect(try lab.drops("tag-on-access", port: "web-2") == 1)
                let table = try lab.heddle("drops")
                #expect(table.text.contains("vlan-not-allowed on fw-1: VLAN 30 is not in trunk"))
            }
        }

        @Test("a frame over the MTU is dropped and said to be")
        func oversize() throws {
            try withExample("access-and-trunk") { lab in
                // The device's own limit is taken away, so that the switch has to judge.
                try lab.sh("ip link set dev web-1 mtu 3000", in: "web-1")
                #expect(try lab.ping(from: "web-1", "10.20.0.2"))
                let sized = try lab.run(
                    [
                        "ping", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", "2000",
                        "10.20.0.2",
                    ],
                    in: "web-1")
                #expect(sized.status != 0)
                #expect(try lab.drops("oversize", port: "web-1") == 2)
                let largest = try lab.run(
                    ["ping", "-c", "1", "-W", "1", "-M", "do", "-s", "1472", "10.20.0.2"],
                    in: "web-1")
                #expect(largest.status == 0, "1500 bytes fit: \(largest.text)")
            }
        }
    }
}
