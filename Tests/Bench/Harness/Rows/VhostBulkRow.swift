import Foundation

/// Super-frames from guest to guest, against the copying that they cannot do without.
struct VhostBulkRow: Row {
    private static let id = "vhost-super"

    let lines = [
        Line(
            id: id, what: "vhost-user, both ways: TCP super-frames of 64 KiB, payload",
            against: "memcpy", unit: "Gbit/s", isMoreBetter: true,
            goal: .ratio(floor: 0.4, aim: 0.6),
            how: "two guests on core 0 that touch no payload, \(Guests.bulkFrameByteCount) bytes a "
                + "frame in one piece, received into mergeable buffers of 4 KiB, split rings; sum of "
                + "both directions. Against memcpy of as large frames on core 1, from 128 of them to "
                + "as many others, in shared memory of 4 KiB pages too")
    ]

    private struct Report: Decodable { let bytesPerSecond: Double }

    func measure(_ bench: Bench) throws -> [Finding] {
        let copy = "\(bench.twins)/copy"
        if let obstacle = Program.obstacle(for: "memcpy", [copy]) { throw NotMeasured(obstacle) }
        let command = [copy, "\(bench.shortSeconds)", "\(Guests.bulkFrameByteCount)", "128"]
        return try bench.interleave(lines, pairs: bench.shortPairs) {
            let rig = try bench.rig(of: bench.heddleVhost, guests: Guests.Setup(isBulk: true))
            return Contest(
                ours: { try rig.measure { try trial(bench, $0) } },
                theirs: {
                    let output = try Program.run(command, core: bench.switchCore)
                    let report = try JSONDecoder().decode(Report.self, from: Data(output.utf8))
                    return Trial(
                        [Self.id: report.bytesPerSecond * 8 / 1e9],
                        bytes: report.bytesPerSecond * bench.shortSeconds)
                },
                end: { rig.stop() })
        }
    }

    private func trial(_ bench: Bench, _ rig: VhostRig) throws -> Trial {
        let report = try rig.guests.bulk(seconds: bench.shortSeconds, warmUp: 0.2)
        guard report.bytes == report.received * Guests.bulkFrameByteCount else {
            throw NotMeasured(
                "\(report.received) frames arrived with \(report.bytes) bytes: not whole")
        }
        let payload = Double(report.received * Guests.bulkPayloadByteCount)
        return Trial([Self.id: payload / report.seconds * 8 / 1e9], bytes: payload)
    }
}
