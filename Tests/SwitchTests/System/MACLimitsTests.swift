import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("mac-limits.yaml")
    struct MACLimits {
        private struct Flood: Decodable {
            var sent: Int
        }

        @Test(
            "a million source addresses from one port cost two others nothing, and show them to nobody"
        )
        func flood() throws {
            try withExample("mac-limits") { lab in
                let attached = try lab.heddle(
                    "port", "attach", "witness", "--network", "lab", "--namespace", "witness")
                #expect(attached.status == 0, "\(attached.standardError)")
                let sender = Host("sender", "10.50.0.1")
                let receiver = Host("receiver", "10.50.0.2")
                // receiver's address is static; sender's is learned and must survive as well.
                let there = try lab.stream(from: "sender", to: receiver)
                let back = try lab.stream(from: "receiver", to: sender, port: 9001)
                let watchers = try ["sender", "receiver"].map { name in
                    let mac = try #require(try lab.port(name).mac)
                    return try lab.peer(["watch", "witness", mac], in: "witness")
                }

                let flood = try lab.run(
                    [Lab.peerPath, "flood", "noisy", "1000000", "20"], in: "noisy",
                    timeoutSeconds: 30)
                let sent = try JSONDecoder().decode(Flood.self, from: Data(flood.text.utf8)).sent
                #expect(sent == 1_000_000, "the flood was cut short")
                usleep(200_000)

                for (name, stream) in [("there", there), ("back", back)] {
                    let account = try stream.finish()
                    #expect(account.isPerfect, "\(name): \(account)")
                }
                for watcher in watchers {
                    try watcher.finish()
                    #expect(try LoggedFrame.log(of: watcher).isEmpty, "a stream was flooded")
                }
                let noisy = try lab.port("noisy").counters
                #expect(noisy.receivedFrames > 20_000, "the switch saw a flood")
                let entries = try lab.json("fdb", "list", as: FDBList.self).entries
                let own = try lab.port("noisy").mac
                let made = entries.filter { $0.port == "noisy" && $0.mac != own }
                #expect(made.count <= 16 && !made.isEmpty, "\(made.count) entries")
                #expect(entries.count <= 4096)
                #expect(
                    entries.contains {
                        $0.port == "receiver" && $0.kind == .static
                            && $0.mac == "02:00:00:50:00:02"
                    })
                let fdb = try lab.json("stats", as: StatsInfo.self).fdb
                #expect(fdb.refused + fdb.evicted > 10_000, "\(fdb)")
            }
        }

        @Test("nobody takes a static address")
        func staticAddress() throws {
            try withExample("mac-limits") { lab in
                let frame =
                    "ffffffffffff" + "020000500002" + "88b5"
                    + String(repeating: "00", count: 46)
                let stolen = try lab.run([Lab.peerPath, "frames", "noisy", frame], in: "noisy")
                #expect(stolen.status == 0)
                #expect(try lab.ping(from: "sender", "10.50.0.2"))
                #expect(try lab.drops("source-pinned", port: "noisy") == 1)
                let entries = try lab.json("fdb", "list", as: FDBList.self).entries
                #expect(
                    entries.filter { $0.mac == "02:00:00:50:00:02" }.map(\.port) == ["receiver"])
            }
        }
    }
}
