import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Capture while traffic flows")
    struct Capture {
        /// Starts a capture into a file that both sides see, and waits until it has begun.
        private func capture(_ lab: Lab, _ arguments: [String]) throws -> (LabProcess, String) {
            let file = lab.directory + "/capture.pcapng"
            try? FileManager.default.removeItem(atPath: file)
            let process = try lab.start([Lab.heddlePath, "capture"] + arguments + ["-w", file])
            try process.wait("the capture has begun") { _ in
                (FileManager.default.contents(atPath: file)?.count ?? 0) > 0
            }
            return (process, file)
        }

        private func parsed(_ file: String) throws -> PcapngFile {
            try PcapngParser.parse([UInt8](try Data(contentsOf: URL(fileURLWithPath: file))))
        }

        @Test("each port is an interface, with directions, stamps, the filter and statistics")
        func interfaces() throws {
            try withExample("quickstart") { lab in
                #expect(try lab.ping(from: "web-1", "10.10.0.2"))
                let (process, file) = try capture(lab, ["web-1", "web-2", "icmp"])
                let begin = Date().timeIntervalSince1970
                #expect(try lab.ping(from: "web-1", "10.10.0.2"))
                #expect(try lab.ping(from: "db-1", "10.10.0.4"), "not captured")
                try lab.sh("ip neighbour flush all; ping -c 1 -W 1 10.10.0.2", in: "web-1")
                usleep(100_000)
                try process.finish(SIGINT)
                let end = Date().timeIntervalSince1970

                let capture = try parsed(file)
                #expect(capture.interfaces.map(\.name) == ["web-1", "web-2"])
                #expect(capture.interfaces.allSatisfy { $0.filter == "icmp" })
                #expect(capture.interfaces.allSatisfy { $0.timestampResolution == 9 })
                let mac = try #require(try lab.port("web-1").mac).filter { $0 != ":" }
                #expect(
                    capture.interfaces.first?.macAddress.map {
                        $0.map { String(format: "%02x", $0) }.joined()
                    } == mac)
                // Three echoes: at the asker's port in and back out, at the other's the reverse.
                #expect(capture.packets.count == 12, "ICMP and nothing else")
                for (name, first) in [
                    ("web-1", PcapngFile.Direction.inbound), ("web-2", .outbound),
                ] {
                    let packets = capture.packets(at: name)
                    #expect(packets.count == 6)
                    for packet in packets {
                        let isRequest = packet.bytes[34] == 8
                        #expect((packet.direction == first) == isRequest)
                        #expect(packet.originalByteCount == 98)
                    }
                }
                let stamps = capture.packets.map { Double($0.timestampNanoseconds) / 1e9 }
                #expect(stamps == stamps.sorted())
                #expect(stamps.allSatisfy { $0 > begin - 0.1 && $0 < end + 0.1 })
                #expect(capture.packets.contains { $0.timestampNanoseconds % 1000 != 0 })
                #expect(capture.statistics.map(\.interfaceID) == [0, 1])
                #expect(capture.statistics.allSatisfy { $0.dropped == 0 })
            }
        }

        @Test(
            "a pipe to tshark shows the frames, by name of the port",
            .enabled(if: ExternalTool.isAvailable("tshark")))
        func pipe() throws {
            try withExample("quickstart") { lab in
                #expect(try lab.ping(from: "web-1", "10.10.0.2"))
                let shark = try lab.start([
                    "sh", "-c",
                    "\(Lab.heddlePath) capture -c 8 -w - icmp | "
                        + "tshark -r - -T fields -e frame.interface_name -e frame.packet_flags_direction "
                        + "-e icmp.type",
                ])
                var isOver = false
                for _ in 0..<40 where !isOver {
                    _ = try lab.run(["ping", "-c", "1", "-W", "1", "10.10.0.2"], in: "web-1")
                    isOver = !shark.isRunning
                }
                #expect(try shark.waitForEnd() == 0, "\(shark.standardError)")
                let lines = shark.output.split(separator: "\n").map { line in
                    line.split(separator: "\t").map(String.init)
                }
                #expect(lines.count == 8, "\(shark.output)")
                let requests = lines.filter { $0.last == "8" }
                #expect(requests.count == 4)
                #expect(
                    Set(
                        requests.map {
                            $0[0] + " " + (Int($0[1].dropFirst(2), radix: 16) ?? 0).description
                        })
                        == ["web-1 1", "web-2 2"], "in at one, out at the other")
            }
        }

        @Test("-c, --duration and --direction end and narrow a capture; a bad filter is refused")
        func limits() throws {
            try withExample("quickstart") { lab in
                let stream = try lab.stream(from: "web-1", to: Host("web-2", "10.10.0.2"))
                let (counted, file) = try capture(
                    lab, ["web-1", "-c", "25", "--direction", "ingress", "udp port 9000"])
                #expect(try counted.waitForEnd() == 0)
                let capture = try parsed(file)
                #expect(capture.packets.count == 25)
                #expect(capture.packets.allSatisfy { $0.direction == .inbound })
                #expect(capture.statistics.count == 1)

                let began = Date()
                let (timed, second) = try self.capture(
                    lab, ["web-2", "--duration", "0.5", "--snaplen", "60"])
                #expect(try timed.waitForEnd() == 0)
                #expect((0.4...3).contains(Date().timeIntervalSince(began)))
                let snapped = try parsed(second)
                #expect(snapped.packets.count > 100)
                #expect(snapped.packets.allSatisfy { $0.bytes.count <= 60 })
                #expect(snapped.statistics.count == 1)

                let bad = try lab.heddle("capture", "-w", second, "udp prot 9")
                #expect(bad.status == 1)
                #expect(try parsed(second) == snapped, "the file is as it was")
                let account = try stream.finish()
                #expect(account.isPerfect, "\(account)")
            }
        }

        @Test("a reader that stops, or dies, stalls nobody; what it missed is counted")
        func stoppedReader() throws {
            try withExample("quickstart") { lab in
                let (reader, file) = try capture(lab, [])
                let dead = try lab.start([Lab.heddlePath, "capture", "-w", "/dev/null"])
                usleep(300_000)
                try reader.send(SIGSTOP)
                let stream = try lab.stream(from: "web-1", to: Host("web-2", "10.10.0.2"))
                let listener = try lab.peer(["tcp-receive", "7000"], in: "db-2")
                try dead.send(SIGKILL)
                let bulk = try lab.run(
                    [Lab.peerPath, "tcp-send", "10.10.0.4", "7000", "200000000"], in: "db-1")
                #expect(bulk.text.contains(#""acknowledged":200000000"#), "\(bulk.standardError)")
                usleep(300_000)
                let account = try stream.finish()
                #expect(account.isPerfect, "\(account)")
                try listener.finish()

                try reader.send(SIGCONT)
                try reader.finish(SIGINT)
                let capture = try parsed(file)
                #expect(capture.statistics.count == 4)
                #expect(capture.statistics.reduce(0) { $0 + ($1.dropped ?? 0) } > 0)
            }
        }

        @Test("the switch ends although a capture's reader has stopped, and the capture with it")
        func endOfSwitch() throws {
            try Lab.with { lab in
                let process = try lab.startSwitch(example("quickstart"))
                let (stopped, _) = try capture(lab, ["web-1"])
                try stopped.send(SIGSTOP)
                let second = lab.directory + "/running.pcapng"
                let running = try lab.start([Lab.heddlePath, "capture", "-w", second])
                try running.wait("the capture has begun") { _ in
                    (FileManager.default.contents(atPath: second)?.count ?? 0) > 0
                }
                try process.finish(seconds: 10)
                #expect(try running.waitForEnd() == 0, "\(running.standardError)")
                try stopped.send(SIGCONT)
                try stopped.waitForEnd()
                #expect(try lab.leftovers() == [])
            }
        }
    }
}
