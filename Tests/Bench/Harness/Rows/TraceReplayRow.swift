import Foundation

/// How fast a capture is replayed through a candidate topology, by `heddle trace`.
struct TraceReplayRow: Row {
    private static let frameCount = 1_200_000
    private static let portCount = 8
    private static let addressCount = 4096

    let lines = [
        Line(
            id: "trace-replay", what: "trace --candidate: \(frameCount.formatted()) frames",
            against: nil, unit: "kframes/s", isMoreBetter: true,
            goal: .atLeast(floor: 1000, aim: 2000),
            how: "wall time of the command on a pcapng file in memory, start and output included: "
                + "64-byte frames of \(portCount) ports in two networks, \(addressCount) addresses, "
                + "each with its verdict as a comment; one network's port moves in the candidate. "
                + "Median of five")
    ]

    func measure(_ bench: Bench) throws -> [Finding] {
        let directory = "/dev/shm/heddle-trace-\(getpid())"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (capture, candidate) = ("\(directory)/a.pcapng", "\(directory)/new.yaml")
        try Data(Self.file()).write(to: URL(filePath: capture))
        try Self.topology().write(toFile: candidate, atomically: true, encoding: .utf8)
        var rates: [Double] = []
        for _ in 0..<5 {
            let clock = ContinuousClock()
            let duration = try clock.measure {
                // 2: some frames end otherwise.
                _ = try Program.run(
                    [
                        "sh", "-c",
                        "\(bench.heddle.binary) trace --pcap \(capture) "
                            + "--candidate \(candidate) >\(directory)/out; test $? -eq 2",
                    ], core: bench.switchCore)
            }
            rates.append(Double(Self.frameCount) / (duration / .seconds(1)) / 1000)
        }
        return [Finding(lines[0], value: Statistics.median(rates))]
    }

    /// Ports 0 to 3 in blue, the others in green; in the candidate, port 3 is in green as well.
    private static func topology() -> String {
        let ports = (0..<portCount).map { port in
            "  p\(port): {network: \(port < 3 ? "blue" : "green"), tap: {}}\n"
        }
        return "heddle: 1\nnetworks: {blue: {vlan: 10}, green: {vlan: 20}}\nports:\n"
            + ports.joined()
    }

    private static func file() -> [UInt8] {
        var file: [UInt8] = []
        file.reserveCapacity(frameCount * 160)
        let open = [UInt8](repeating: 0xFF, count: 8)
        block(0x0A0D_0D0A, number(0x1A2B_3C4D) + [1, 0, 0, 0] + open)
        for port in 0..<portCount {
            // Ethernet; if_name, and if_tsresol for nanoseconds.
            block(
                1,
                [1, 0, 0, 0] + number(0) + option(2, Array("p\(port)".utf8)) + option(9, [9])
                    + number(0))
        }
        for index in 0..<frameCount {
            let port = index % portCount
            // Addresses are behind the ports in turn; both ends of a frame are in one network.
            let source = index % addressCount
            let isBlue = port < portCount / 2
            let other = (port + 1) % (portCount / 2) + (isBlue ? 0 : portCount / 2)
            let target = source - port + other
            let stamp = 1_700_000_000_000_000_000 + UInt64(index) * 1000
            let frame =
                address(target) + address(source) + [0x88, 0xB5] + [UInt8](repeating: 0, count: 50)
            block(
                6,
                number(UInt32(port)) + number(UInt32(stamp >> 32))
                    + number(UInt32(truncatingIfNeeded: stamp)) + number(64) + number(64) + frame
                    + option(2, [1, 0, 0, 0])
                    + option(1, Array("forwarded to p\(other)".utf8)) + number(0))
        }
        return file

        func block(_ type: UInt32, _ body: [UInt8]) {
            let byteCount = number(UInt32(body.count + 12))
            file += number(type) + byteCount + body + byteCount
        }
    }

    private static func number(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private static func option(_ code: UInt8, _ value: [UInt8]) -> [UInt8] {
        [code, 0, UInt8(value.count), 0] + value
            + [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
    }

    private static func address(_ number: Int) -> [UInt8] {
        [2, 0, 0, 0, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)]
    }
}
