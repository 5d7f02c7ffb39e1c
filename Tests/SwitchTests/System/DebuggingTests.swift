import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Debugging a network that does not work")
    struct Debugging {
        private let broadcast = "ff:ff:ff:ff:ff:ff"

        /// A frame of local experimental type from a host that does not exist, in hexadecimal.
        private func frame(tag: String, marker: String = "aa") -> String {
            "ffffffffffff" + "0600000000f1" + tag + "88b5" + String(repeating: marker, count: 46)
        }

        private func send(_ lab: Lab, _ namespace: String, _ frames: [String]) throws {
            let sent = try lab.run([Lab.peerPath, "frames", namespace] + frames, in: namespace)
            #expect(sent.status == 0, "\(sent.standardError)")
        }

        private func capture(
            _ lab: Lab, _ arguments: [String], while body: () throws -> Void
        ) throws -> String {
            let file = lab.directory + "/debug.pcapng"
            try? FileManager.default.removeItem(atPath: file)
            let process = try lab.start([Lab.heddlePath, "capture"] + arguments + ["-w", file])
            try process.wait("the capture has begun") { _ in
                (FileManager.default.contents(atPath: file)?.count ?? 0) > 0
            }
            try body()
            usleep(200_000)
            try process.finish(SIGINT)
            return file
        }

        private func parsed(_ file: String) throws -> PcapngFile {
            try PcapngParser.parse([UInt8](try Data(contentsOf: URL(fileURLWithPath: file))))
        }

        /// What tshark says of each frame, field by field; any word of it on standard error fails.
        private func dissected(
            _ file: String, _ fields: [String], options: [String] = []
        ) throws -> [[String]] {
            let shark = try ExternalTool("tshark").run(
                ["-r", file, "-T", "fields", "-E", "separator=|"] + options
                    + fields.flatMap { ["-e", $0] })
            #expect(shark.status == 0)
            let complaints = shark.standardError.split(separator: "\n").filter {
                !$0.contains("This could be dangerous")
            }
            #expect(complaints.isEmpty, "tshark warns: \(complaints)")
            return shark.text.split(separator: "\n").map {
                $0.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            }
        }

        @Test(
            "a drop names its cause, the line of the file, when, and the last frames",
            .enabled(if: ExternalTool.isAvailable("tshark")))
        func drops() throws {
            try withExample("access-and-trunk") { lab in
                let file = try capture(lab, ["--drops"]) {
                    try send(lab, "fw-1", [frame(tag: "8100001e"), frame(tag: "8100001e")])
                    try send(lab, "web-1", [frame(tag: "8100000a")])
                    #expect(try lab.ping(from: "web-1", "10.20.0.254"), "not a drop")
                }
                let text = try String(contentsOfFile: example("access-and-trunk"), encoding: .utf8)
                let line = try #require(
                    text.split(separator: "\n", omittingEmptySubsequences: false)
                        .firstIndex { $0.contains("trunk: [blue, green]") })
                let list = try lab.json("drops", as: DropList.self).drops
                let drop = try #require(list.first { $0.reason == "vlan-not-allowed" })
                #expect(drop.port == "fw-1" && drop.count == 2)
                #expect(drop.cause == "VLAN 30 is not in trunk [blue, green]")
                #expect(drop.source?.hasSuffix("access-and-trunk.yaml:\(line + 1)") == true)
                #expect(drop.frames?.count == 2)
                #expect(drop.frames?.first?.hasPrefix("VLAN 30: 06:00:00:00:00:f1 >") == true)
                let first = try #require(drop.firstSecondsAgo)
                let last = try #require(drop.lastSecondsAgo)
                #expect(first >= last && last >= 0 && first < 60)
                let access = try #require(list.first { $0.reason == "tag-on-access" })
                #expect(access.cause == "VLAN 10 came to an access port of network blue")
                let shown = try lab.heddle("drops").text
                #expect(shown.contains("vlan-not-allowed on fw-1: VLAN 30 is not in trunk"))

                let rows = try dissected(
                    file,
                    [
                        "frame.interface_name", "frame.packet_flags_direction", "vlan.id",
                        "frame.verdict.ebpf_tc", "frame.comment",
                    ])
                #expect(rows.count == 3)
                #expect(
                    rows.first == [
                        "fw-1", "0x00000001", "30", "2",
                        "dropped: vlan-not-allowed: the frame's VLAN is not in the port's trunk",
                    ])
                #expect(rows.last?.first == "web-1" && rows.last?[2] == "10")
                let one = try self.capture(lab, ["--drops", "tag-on-access"]) {
                    try send(lab, "fw-1", [frame(tag: "8100001e")])
                    try send(lab, "web-1", [frame(tag: "8100000a")])
                }
                #expect(try parsed(one).packets.map(\.interfaceID) == [0], "of that reason only")
            }
        }

        @Test(
            "one file has all ports in order, ties a frame's appearances, and says where it went",
            .enabled(if: ExternalTool.isAvailable("tshark")))
        func everywhere() throws {
            try withExample("access-and-trunk") { lab in
                #expect(try lab.ping(from: "web-1", "10.20.0.2"))
                let file = try capture(lab, ["--network", "blue", "icmp"]) { () throws in
                    #expect(try lab.ping(from: "web-1", "10.20.0.2"))
                    #expect(try lab.ping(from: "db-1", "10.30.0.2"), "of another network")
                }
                let rows = try dissected(
                    file,
                    [
                        "frame.interface_name", "frame.packet_id", "frame.comment", "icmp.type",
                        "ip.src_host",
                    ], options: ["-N", "n"])
                #expect(rows.count == 8, "two echoes, both ways, at two ports")
                var ports: [String: [String]] = [:]
                for row in rows { ports[row[1], default: []].append(row[0]) }
                #expect(ports.count == 4 && ports.values.allSatisfy { $0.count == 2 })
                let request = try #require(rows.first { $0[0] == "web-1" && $0[3] == "8" })
                #expect(request[2].hasPrefix("forwarded to web-2 in network blue"))
                let arrival = try #require(rows.first { $0[0] == "web-2" && $0[3] == "8" })
                #expect(arrival[2] == "from web-1 in network blue")
                #expect(arrival[1] == request[1])
                #expect(request[4] == "web-1", "names are in the file")
                let capture = try parsed(file)
                let interface = try #require(capture.interfaces.first { $0.name == "web-1" })
                #expect(
                    interface.description
                        == "network blue, VLAN 10, device web-1 in namespace web-1")
                let stamps = capture.packets.map(\.timestampNanoseconds)
                #expect(stamps == stamps.sorted())
            }
        }

        @Test(
            "the wire view has right checksums and no frame that is too long; as seen there are both",
            .enabled(if: ExternalTool.isAvailable("tshark")))
        func wireView() throws {
            try withExample("quickstart") { lab in
                for (view, isWire) in [("wire", true), ("seen", false)] {
                    let listener = try lab.peer(["tcp-receive", "7000"], in: "web-2")
                    let file = try capture(lab, ["web-1", "--as", view, "tcp"]) {
                        let bulk = try lab.run(
                            [Lab.peerPath, "tcp-send", "10.10.0.2", "7000", "2000000"],
                            in: "web-1")
                        #expect(bulk.text.contains(#""acknowledged":2000000"#))
                    }
                    try listener.finish()
                    let rows = try dissected(
                        file, ["frame.len", "tcp.checksum.status"],
                        options: ["-o", "tcp.check_checksum:TRUE"])
                    let lengths = rows.compactMap { Int($0[0]) }
                    let hasBad = rows.contains { $0[1] == "0" }
                    #expect(rows.count > 20)
                    #expect(hasBad != isWire, "\(view)")
                    #expect((lengths.max() ?? 0 <= 1514) == isWire, "\(view)")
                }
            }
        }

        @Test("the past can be written, filtered and by port; without a recorder it is refused")
        func past() throws {
            try withExample("quickstart") { lab in
                #expect(try lab.ping(from: "web-1", "10.10.0.2"))
                #expect(try lab.ping(from: "db-1", "10.10.0.4"))
                let file = lab.directory + "/past.pcapng"
                let written = try lab.heddle(
                    "capture", "web-2", "--since", "60s", "-w", file, "icmp")
                #expect(written.status == 0, "\(written.standardError)")
                let past = try parsed(file)
                #expect(past.interfaces.map(\.name) == ["web-2"])
                #expect(past.packets.count == 4, "echo requests out, replies in")
                #expect(past.packets.filter { $0.direction == .inbound }.count == 2)
                #expect(
                    past.packets.allSatisfy {
                        $0.comments.first?.hasPrefix("forwarded to web-1")
                            ?? false || $0.comments == ["from web-1 in network blue"]
                    })
                let none = try lab.heddle(
                    "capture", "--since", "1ms", "-w", file, "icmp")
                #expect(none.status == 0)
                #expect(try parsed(file).packets.isEmpty)

                let unknown = try lab.heddle("capture", "--recording", "99", "-w", file)
                #expect(unknown.status == 1)
                #expect(unknown.standardError.contains("there is no recording 99"))
                let text = try String(contentsOfFile: example("quickstart"), encoding: .utf8)
                let off = try lab.file("off.yaml", text + "\nswitch: {recorder: false}\n")
                try lab.apply(off)
                let refused = try lab.heddle("capture", "--since", "10s", "-w", file)
                #expect(refused.status == 1)
                #expect(refused.standardError.contains("recorder: false"))
            }
        }

        @Test("an event freezes the seconds before it, and names the copy")
        func frozen() throws {
            try withExample("quickstart") { lab in
                #expect(try lab.ping(from: "web-1", "10.10.0.2"))
                try lab.sh("ip link set db-1 down", in: "db-1")
                #expect(try lab.port("db-1", becomes: .down))
                let events = try lab.json("events", "--kind", "port-down", as: EventList.self)
                let number = try #require(events.events.last?.recording)
                #expect(try lab.heddle("events").text.contains("[recording \(number)]"))
                // What comes later is not in it.
                #expect(try lab.ping(from: "web-2", "10.10.0.1"))
                let file = lab.directory + "/frozen.pcapng"
                let written = try lab.heddle(
                    "capture", "web-1", "--recording", "\(number)", "-w", file, "icmp[0] = 8")
                #expect(written.status == 0, "\(written.standardError)")
                let packets = try parsed(file).packets
                #expect(packets.count == 2 && packets.allSatisfy { $0.direction == .inbound })
            }
        }

        @Test("a capture goes on in files of limited size, each of which can be opened alone")
        func files() throws {
            try withExample("quickstart") { lab in
                let base = lab.directory + "/ring.pcapng"
                let process = try lab.start([
                    Lab.heddlePath, "capture", "web-1", "-w", base, "-C", "8K", "-W", "3", "icmp",
                ])
                let first = lab.directory + "/ring-00001.pcapng"
                try process.wait("the capture has begun") { _ in
                    (FileManager.default.contents(atPath: first)?.count ?? 0) > 0
                }
                try lab.sh("ping -q -c 150 -i 0.002 -s 400 10.10.0.2", in: "web-1")
                usleep(200_000)
                try process.finish(SIGINT)
                let names = try FileManager.default.contentsOfDirectory(atPath: lab.directory)
                    .filter { $0.hasPrefix("ring-") }.sorted()
                #expect(names.count == 3, "\(names)")
                #expect(names.first != "ring-00001.pcapng", "the oldest have gone")
                for name in names {
                    let path = lab.directory + "/" + name
                    let file = try parsed(path)
                    #expect(file.interfaces.map(\.name) == ["web-1"] && !file.packets.isEmpty)
                    let size = try FileManager.default.attributesOfItem(atPath: path)[.size]
                    #expect((size as? Int ?? .max) <= 8192 + 1024, "\(name)")
                }
            }
        }

        @Test("a full disk ends the capture with a message, and not the switch")
        func fullDisk() throws {
            try withExample("quickstart") { lab in
                try lab.sh("mkdir -p /run/small && mount -t tmpfs -o size=64k none /run/small")
                let process = try lab.start([
                    Lab.heddlePath, "capture", "-w", "/run/small/full.pcapng",
                ])
                usleep(500_000)
                try lab.sh("ping -q -c 200 -i 0.002 -s 1000 10.10.0.2", in: "web-1")
                #expect(try process.waitForEnd() == 1)
                #expect(process.standardError.contains("the disk is full"))
                #expect(try lab.ping(from: "web-1", "10.10.0.2"), "the switch goes on")
            }
        }

        @Test(
            "Wireshark's programs list the ports by name and capture from them",
            .enabled(if: ExternalTool.isAvailable("tshark")))
        func extcap() throws {
            try withExample("quickstart") { lab in
                // Where Wireshark looks, as it says; here it is a folder of the lab's own.
                let folders = try lab.sh("tshark -G folders 2>/dev/null | grep -i 'extcap path'")
                let folder = try #require(
                    folders.split(whereSeparator: { "\t\n".contains($0) }).last.map(String.init))
                try lab.sh("mount -t tmpfs none \(folder)")
                let installed = try lab.heddle("extcap")
                #expect(installed.text.contains("installed \(folder)/heddle"))
                let list = try lab.sh("tshark -D 2>/dev/null")
                for name in ["all", "web-1", "web-2", "db-1", "db-2"] {
                    #expect(list.contains("heddle:\(name) "), "\(list)")
                }
                let shark = try lab.start([
                    "sh", "-c",
                    "tshark -Q -i heddle:web-1 -f icmp -c 4 -a duration:20 "
                        + "-T fields -e icmp.type -e frame.comment",
                ])
                for _ in 0..<40 where shark.isRunning {
                    _ = try lab.run(["ping", "-c", "1", "-W", "1", "10.10.0.2"], in: "web-1")
                    usleep(100_000)
                }
                #expect(try shark.waitForEnd() == 0, "\(shark.standardError)")
                let lines = shark.output.split(separator: "\n")
                #expect(lines.count == 4, "\(shark.output)")
                #expect(lines.first?.contains("forwarded to web-2 in network blue") == true)
                let removed = try lab.heddle("extcap", "--remove")
                #expect(removed.status == 0)
                #expect(try lab.sh("ls \(folder)").isEmpty)
            }
        }
    }
}
