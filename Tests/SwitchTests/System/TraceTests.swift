import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Tracing frames of a running switch")
    struct Tracing {
        private func trace(_ lab: Lab, _ arguments: String...) throws -> TraceInfo {
            let output = try lab.run(
                [Lab.heddlePath, "trace"] + arguments + ["--output", "json"])
            guard output.status == 0 else {
                throw Lab.Failure("trace \(arguments): \(output.standardError)")
            }
            return try TraceInfo(json: output.standardOutput)
        }

        @Test("tells what happens then, and changes nothing itself")
        func live() throws {
            try withExample("access-and-trunk") { lab in
                let asked = try trace(lab, "--port", "web-1", "--arp", "10.20.0.2")
                #expect(asked.verdict == "flooded to 2 ports")
                #expect(Set(asked.egress) == ["web-2", "fw-1"])
                let mac = try #require(try lab.port("web-1").mac)
                #expect(asked.steps.contains { $0.text.contains("sender \(mac) 10.20.0.1") })

                let nobody = "02:00:00:00:77:01"
                for _ in 0..<2 {
                    let told = try trace(
                        lab, "--port", "web-1", "--dst", "ff:ff:ff:ff:ff:ff", "--src", nobody)
                    #expect(
                        told.steps.contains {
                            $0.text == "\(nobody) is new: learned behind web-1"
                        })
                }
                let entries = try lab.json("fdb", "list", "--mac", nobody, as: FDBList.self)
                #expect(entries.entries == [])

                // What a ping has taught the switch, a trace knows.
                #expect(try lab.ping(from: "web-1", "10.20.0.2"))
                let peer = try #require(try lab.port("web-2").mac)
                let known = try trace(lab, "--port", "web-1", "--dst", peer)
                #expect(known.action == "forwarded" && known.egress == ["web-2"])
                #expect(
                    known.steps.contains {
                        $0.text.hasPrefix("\(peer) is behind web-2 (learned")
                    })

                let drops = try lab.drops("tag-on-access", port: "web-1")
                let tagged = try trace(lab, "--port", "web-1", "--dst", peer, "--vlan", "20")
                #expect(tagged.reason == "tag-on-access" && tagged.remedy != nil)
                #expect(try lab.drops("tag-on-access", port: "web-1") == drops)

                let wrong = try lab.heddle("trace", "--port", "web-9", "--dst", peer)
                #expect(wrong.status == 1)
                #expect(wrong.standardError.contains("did you mean 'web-1'?"))
            }
        }

        @Test("real traffic ends as it did under the same topology, and not under another")
        func whatIf() throws {
            try withExample("access-and-trunk") { lab in
                let file = lab.directory + "/a.pcapng"
                let script =
                    "\(Lab.heddlePath) capture -w \(file) --duration 2 & sleep 0.7; "
                    + "nsenter --net=/run/netns/web-1 ping -q -c 3 -i 0.2 10.20.0.2 >/dev/null; wait"
                _ = try lab.sh(script)
                let same = try lab.heddle(
                    "trace", "--pcap", file, "--topology", example("access-and-trunk"),
                    "--candidate", example("access-and-trunk"))
                #expect(same.status == 0, "\(same.standardError)\(same.text)")
                let new = try String(
                    contentsOfFile: example("access-and-trunk"), encoding: .utf8
                ).replacing("web-2: {network: blue", with: "web-2: {network: green")
                let changed = try lab.heddle(
                    "trace", "--pcap", file, "--topology", example("access-and-trunk"),
                    "--candidate", try lab.file("new.yaml", new))
                #expect(changed.status == 2, "\(changed.standardError)\(changed.text)")
                #expect(changed.text.contains("forwarded to web-2"))
            }
        }
    }
}
