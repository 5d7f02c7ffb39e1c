import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// What Wireshark thinks of what is on the underlay. The underlay is a wire here: no offload at
    /// any end, so that every checksum, the outer and the inner, is on it.
    @Suite(
        "tshark on the underlay",
        .enabled(
            if: ExternalTool.isAvailable("tshark") && ExternalTool.isAvailable("ethtool")))
    struct TsharkOnTheUnderlay {
        typealias Way = HeddleOnEachHost.Way

        /// Findings that would be wrong of any packet.
        private static let wrong = [
            "_ws.malformed", "_ws.expert.severity == error", "ip.checksum.status == Bad",
            "udp.checksum.status == Bad", "tcp.checksum.status == Bad",
            "icmp.checksum.status == Bad", "icmpv6.checksum.status == Bad",
        ].joined(separator: " || ")

        private static let checks = [
            "ip.check_checksum:TRUE", "udp.check_checksum:TRUE", "tcp.check_checksum:TRUE",
        ].flatMap { ["-o", $0] }

        /// One line of tab-separated fields for each packet that the filter lets pass.
        private func decoded(
            _ lab: Lab, _ file: String, _ filter: String, _ fields: [String]
        ) throws -> [[String]] {
            let output = try lab.run(
                ["tshark", "-n", "-r", file] + Self.checks + ["-Y", filter, "-T", "fields"]
                    + fields.flatMap { ["-e", $0] })
            guard output.status == 0 else { throw Lab.Failure(output.standardError) }
            return output.text.split(separator: "\n").map {
                $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            }
        }

        /// The VNI as the encapsulation carries it, in tshark's words, and where it is found.
        private func identifier(_ way: Way) -> (field: String, value: Int) {
            switch way.kind {
            case "vxlan": ("vxlan.vni", 10010)
            case "geneve": ("geneve.vni", 10010)
            case "gre": ("gre.key", 10010)
            // The VSID, then eight bits of flow ID (RFC 7637 section 3.2).
            default: ("gre.key", 10010 << 8)
            }
        }

        @Test(
            "finds no malformed packet, no bad checksum and the right VNI",
            arguments: HeddleOnEachHost.ways)
        func decode(_ way: Way) throws {
            try HeddleOnEachHost.with(way, isWire: true) { lab, underlay in
                let file = lab.directory + "/underlay.pcapng"
                // Made before, so that it may be written whoever the capturing process becomes.
                try lab.sh("touch \(file); chmod 666 \(file)")
                let capture = try lab.start(
                    ["dumpcap", "-q", "-i", Underlay.device, "-s", "0", "-w", file], in: "beta")
                try capture.wait("dumpcap has begun", seconds: 10) { _ in
                    (FileManager.default.contents(atPath: file)?.count ?? 0) > 0
                }
                // The same from the inside, as the switch rebuilds it.
                let rebuilt = lab.directory + "/rebuilt.pcapng"
                let inside = try lab.start([
                    Lab.heddlePath, "capture", "\(way.kind):beta", "--outer", "--socket",
                    "/run/heddle-alpha/heddle.sock", "-w", rebuilt,
                ])
                try inside.wait("the capture has begun", seconds: 10) { _ in
                    (FileManager.default.contents(atPath: rebuilt)?.count ?? 0) > 0
                }
                #expect(try underlay.pings("web-1", "10.9.0.2"))
                #expect(
                    try underlay.tcp("web-1", to: "web-2", "10.9.0.2", bytes: 3_000_000)
                        == 3_000_000)
                #expect(
                    try underlay.tcp("web-2", to: "web-1", "10.9.0.1", bytes: 3_000_000)
                        == 3_000_000)
                usleep(500_000)
                try capture.finish(SIGINT)
                try inside.finish(SIGINT)

                let (name, expectedNumber) = identifier(way)
                #expect(try decoded(lab, rebuilt, Self.wrong, ["frame.number"]).isEmpty)
                let echoes = try decoded(
                    lab, rebuilt, "icmp", [name, way.isSix ? "ipv6.dst" : "ip.dst"])
                #expect(echoes.count >= 4)
                #expect(
                    echoes.allSatisfy {
                        let number = Self.number($0[0])
                        return way.kind == "nvgre"
                            ? number >> 8 == expectedNumber >> 8 : number == expectedNumber
                    })
                #expect(
                    Set(echoes.map { $0[1].split(separator: ",").first.map(String.init) ?? "" })
                        == Set(way.addresses))

                let wrong = try decoded(lab, file, Self.wrong, ["frame.number", "_ws.col.Info"])
                #expect(wrong.isEmpty, "\(wrong.count): \(wrong.prefix(3))")
                let (field, value) = identifier(way)
                // Only what arrived: what this host sends was captured before the device.
                let source = way.isSix ? "ipv6.src" : "ip.src"
                let arrived = try decoded(
                    lab, file, "\(source) == \(way.addresses[0]) && tcp.port == \(Underlay.port)",
                    [field, "frame.len", "tcp.checksum.status", "udp.checksum.status"])
                #expect(arrived.count > 2000, "as many as 3 MB need: \(arrived.count)")
                let identifiers = Set(arrived.map { Self.number($0[0]) })
                let expected = way.kind == "nvgre" ? value >> 8 : value
                #expect(
                    Set(identifiers.map { way.kind == "nvgre" ? $0 >> 8 : $0 }) == [expected])
                #expect(arrived.allSatisfy { (Int($0[1]) ?? 0) <= 1514 }, "none exceeds the MTU")
                #expect(arrived.contains { Int($0[1]) == 1514 }, "the largest fills it")
                #expect(arrived.allSatisfy { $0[2] == "1" }, "inner TCP checksums are good")
                if way.kind == "vxlan" || way.kind == "geneve" {
                    #expect(arrived.allSatisfy { $0[3] == "1" }, "outer UDP checksums are good")
                }
                if !way.isSix {
                    let fragments = try decoded(
                        lab, file, "ip.flags.mf == 1 || ip.frag_offset > 0", ["frame.number"])
                    #expect(fragments.isEmpty)
                }
            }
        }

        /// A decimal or hexadecimal number, as tshark prints them.
        private static func number(_ text: String) -> Int {
            text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) ?? -1 : Int(text) ?? -1
        }
    }
}
