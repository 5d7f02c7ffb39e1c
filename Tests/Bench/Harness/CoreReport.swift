import Foundation

/// What the switching core prints about a run, Swift's as well as C's.
struct CoreReport: Decodable {
    let nanosecondsPerFrame: Double
    /// Of all verdicts on the first frames.
    let digest: String

    /// Runs a core in memory, with so many addresses.
    static func run(
        _ program: String, addresses: Int, options: [String] = [], _ bench: Bench
    ) throws -> CoreReport {
        guard Program.locate(program) != nil else {
            throw NotMeasured("there is no \(program); run.sh builds it")
        }
        let output = try Program.run(
            [program, "--macs", "\(addresses)", "--seconds", "\(bench.shortSeconds)"] + options,
            core: bench.switchCore)
        guard let report = try? JSONDecoder().decode(CoreReport.self, from: Data(output.utf8))
        else { throw NotMeasured("\(program)'s answer is not understood: \(output)") }
        return report
    }
}
