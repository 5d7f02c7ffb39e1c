import ControlAPI
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// The collector is a capture of what comes to its address: nobody listens there, so that every
    /// datagram is refused by the kernel as well, and must not be lost for that.
    @Suite(
        "An sFlow collector of a running switch",
        .enabled(if: ExternalTool.isAvailable("tshark")))
    struct Collector {
        private static func topology(_ sflow: String?) -> String {
            let line = sflow.map { "switch: {sflow: {collector: 127.0.0.1:6343, \($0)}}\n" } ?? ""
            return "heddle: 1\n" + line + """
                networks: {blue: {vlan: 10}}
                ports:
                  a: {network: blue, tap: {namespace: a, address: [10.1.0.1/24]}}
                  b: {network: blue, tap: {namespace: b, address: [10.1.0.2/24]}}
                """
        }

        /// A flow sample as the collector reads it.
        private struct Sample {
            var port: UInt32
            var rate: UInt32
            var pool: UInt32
            var drops: UInt32
            var output: UInt32
            var frameByteCount: UInt32
            var header: [UInt8]
        }

        /// Everything that came to the collector.
        private struct Told {
            var flows: [Sample] = []
            /// Names of ports whose counters were told, with frames received.
            var counters: [(name: String, received: UInt32)] = []
            var datagramCount = 0

            /// Of a capture of Ethernet, IPv4 and UDP headers without options.
            init(_ file: String) throws {
                let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
                // A pcap file of this machine's byte order: its header, then for each packet two
                // words of time, the bytes that are there, and the packet's length.
                var place = 24
                while place + 16 <= bytes.count {
                    let count = Int(
                        bytes[place + 8..<place + 12].reversed().reduce(0 as UInt32) {
                            $0 << 8 | UInt32($1)
                        })
                    read(Array(bytes[place + 16..<place + 16 + count].dropFirst(42)))
                    place += 16 + count
                }
            }

            private mutating func read(_ bytes: [UInt8]) {
                func word(_ place: Int) -> UInt32 {
                    bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
                }
                datagramCount += 1
                #expect(word(0) == 5 && word(4) == 1)
                #expect(Array(bytes[8..<12]) == [127, 0, 0, 1], "the agent is the sender")
                var place = 28
                for _ in 0..<word(24) {
                    let body = place + 8
                    if word(place) == 1 {
                        let count = Int(word(body + 52))
                        flows.append(
                            Sample(
                                port: word(body + 4), rate: word(body + 8), pool: word(body + 12),
                                drops: word(body + 16), output: word(body + 24),
                                frameByteCount: word(body + 44),
                                header: Array(bytes[body + 56..<body + 56 + count])))
                    } else {
                        let name = body + 12 + 96 + 8
                        let count = Int(word(name))
                        counters.append(
                            (
                                String(decoding: bytes[name + 4..<name + 4 + count], as: UTF8.self),
                                word(body + 12 + 8 + 32)
                            ))
                    }
                    place = body + Int(word(place + 4))
                }
                #expect(place == bytes.count)
            }
        }

        /// Runs a switch and its collector; gives what was told, after tshark has read it.
        private func told(
            _ lab: Lab, _ sflow: String?, _ body: (LabProcess) throws -> Void
        ) throws -> Told {
            try lab.sh("ip link set lo up")
            let file = lab.directory + "/sflow.pcap"
            try lab.sh("touch \(file); chmod 666 \(file)")
            let collector = try lab.start([
                "dumpcap", "-q", "-P", "-i", "lo", "-f", "udp dst port 6343", "-w", file,
            ])
            try collector.wait("dumpcap has begun", seconds: 10) { _ in
                (FileManager.default.contents(atPath: file)?.count ?? 0) > 0
            }
            let process = try lab.startSwitch(try lab.file("t.yaml", Self.topology(sflow)))
            try body(process)
            try process.finish()
            usleep(300_000)
            try collector.finish(SIGINT)
            let wrong = try lab.run([
                "tshark", "-n", "-r", file, "-d", "udp.port==6343,sflow", "-Y",
                "_ws.malformed || _ws.expert.severity == error || !sflow",
            ])
            #expect(wrong.status == 0 && wrong.text == "", "\(wrong.text)\(wrong.standardError)")
            return try Told(file)
        }

        @Test("is told every frame when every frame is sampled, with the bytes that were sent")
        func everyFrame() throws {
            try Lab.with { lab in
                let file = lab.directory + "/frames.pcapng"
                let told = try told(lab, "sampling: 1, polling: 1s, header: 60") { _ in
                    let capture = try lab.start([
                        Lab.heddlePath, "capture", "--direction", "ingress", "-w", file,
                        "ip host 10.1.0.1 and icmp",
                    ])
                    try capture.wait("the capture has begun") { _ in
                        (FileManager.default.contents(atPath: file)?.count ?? 0) > 0
                    }
                    #expect(try lab.ping(from: "a", "10.1.0.2"))
                    usleep(1_200_000)
                    try capture.finish(SIGINT)
                }
                let frames = try PcapngParser.parse(
                    [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
                ).packets
                #expect(frames.count == 4)
                func key(_ bytes: [UInt8]) -> String { Hex.text(bytes) }
                // Echo requests and replies are ICMP (1) in IPv4.
                let pings = told.flows.filter {
                    $0.header.count == 60 && $0.header[12] == 8 && $0.header[13] == 0
                        && $0.header[23] == 1
                }
                #expect(
                    pings.map { key($0.header) }.sorted()
                        == frames.map { key(Array($0.bytes.prefix(60))) }.sorted())
                #expect(pings.allSatisfy { $0.frameByteCount == 98 + 4 })
                #expect(told.flows.allSatisfy { $0.rate == 1 && $0.drops == 0 })
                #expect(Set(told.counters.map(\.name)) == ["a", "b"])
                #expect(told.counters.contains { $0.received >= 2 })
                let ports = try Set(pings.map(\.port))
                #expect(ports.count == 2, "both hosts sent")
                // The answer to a known host goes to one port, the one of the other.
                for ping in pings where ping.output >> 30 == 0 {
                    #expect(ports.subtracting([ping.port]).contains(ping.output), "\(ping)")
                }
            }
        }

        @Test("is told of one frame in ten, and ports lose nothing by it")
        func sampling() throws {
            try Lab.with { lab in
                let told = try told(lab, "sampling: 10, polling: 1s") { _ in
                    let stream = try lab.stream(from: "a", to: Host("b", "10.1.0.2"), port: 9000)
                    usleep(3_000_000)
                    let account = try stream.finish()
                    #expect(account.isPerfect, "\(account)")
                    usleep(200_000)
                }
                // What the last sample of a port says of the frames among which it was taken.
                var pools: [UInt32: UInt32] = [:]
                for flow in told.flows { pools[flow.port] = max(pools[flow.port] ?? 0, flow.pool) }
                let pool = pools.values.reduce(0, +)
                #expect(pool > 1000)
                // Skips are uniform between 0 and 18: of three hundred the mean is within a tenth of
                // nine but for five in a thousand times, and within two tenths always.
                let estimate = Double(told.flows.count * 10) / Double(pool)
                #expect(abs(estimate - 1) < 0.2, "\(told.flows.count) samples of \(pool) frames")
                #expect(told.flows.allSatisfy { $0.rate == 10 && $0.drops == 0 })
            }
        }

        @Test("comes, changes and goes with the topology; ports lose nothing by it")
        func changes() throws {
            try Lab.with { lab in
                let told = try told(lab, nil) { process in
                    let stream = try lab.stream(from: "a", to: Host("b", "10.1.0.2"), port: 9000)
                    for sflow in ["sampling: 5", "sampling: 7, header: 40", nil] {
                        let file = try lab.file("next.yaml", Self.topology(sflow))
                        let output = try lab.apply(file)
                        #expect(output.contains("~ switch: sflow"), "\(output)")
                        #expect(try lab.heddle("topology", "plan", file).status == 0)
                        if let sflow {
                            #expect(try lab.heddle("topology", "show").text.contains(sflow))
                        }
                        usleep(600_000)
                    }
                    let before = try lab.sh("stat -c %s \(lab.directory)/sflow.pcap")
                    usleep(600_000)
                    #expect(
                        try lab.sh("stat -c %s \(lab.directory)/sflow.pcap") == before,
                        "nobody is told any more")
                    let account = try stream.finish()
                    #expect(account.isPerfect, "\(account)")
                    #expect(!process.standardError.contains("error"))
                }
                #expect(Set(told.flows.map(\.rate)) == [5, 7])
                #expect(told.flows.filter { $0.rate == 7 }.allSatisfy { $0.header.count <= 40 })
            }
        }
    }
}
