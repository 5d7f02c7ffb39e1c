import Foundation

/// The switching core alone: parse, learn, look up, decide, in memory, against the same in C.
///
/// Both programs generate the same frames, keep the same metadata and use the same algorithm; each
/// gives a digest of its verdicts, and different digests are an error: what is not the same work
/// cannot be compared.
struct CoreRow: Row {
    let id: String
    let addresses: Int

    var lines: [Line] {
        [
            Line(
                id: id, what: "switching core, 64 bytes, \(addresses.formatted()) MACs",
                against: "C core", unit: "ns/frame", isMoreBetter: false,
                goal: .ratio(floor: 0.90, aim: 1.0),
                how: "in memory, one thread on core 1; digests of the verdicts are equal")
        ]
    }

    func measure(_ bench: Bench) throws -> [Finding] {
        var digests: Set<String> = []
        func trial(_ program: String) throws -> Trial {
            let report = try CoreReport.run(program, addresses: addresses, bench)
            digests.insert(report.digest)
            guard digests.count == 1 else {
                throw NotMeasured("Heddle's core and the C core decide differently: \(digests)")
            }
            return Trial([id: report.nanosecondsPerFrame])
        }
        let (ours, theirs) = ("\(bench.products)/heddle-core", "\(bench.twins)/core")
        return try bench.interleave(lines, pairs: bench.shortPairs) {
            Contest(ours: { try trial(ours) }, theirs: { try trial(theirs) }, end: {})
        }
    }
}
