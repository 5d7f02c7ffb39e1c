import Foundation

/// The benchmark's tools, for rows to measure with. See ``Row`` for how they are used.
final class Bench {
    /// More pairs and longer trials.
    let isFull: Bool
    /// Where heddle, heddle-generator and heddle-core are.
    let products: String
    /// Where the C programs are.
    let twins: String
    /// The switches' core and the sender's: the second and the first that there are.
    let switchCore: Int
    let senderCore: Int
    let progress: Progress
    private let probe: CanaryProbe
    private var rigs = 0

    init(isFull: Bool, products: String, twins: String, progress: Progress) {
        self.isFull = isFull
        self.products = products
        self.twins = twins
        self.progress = progress
        senderCore = Placement.cores[0]
        switchCore = Placement.cores[min(1, Placement.cores.count - 1)]
        probe = CanaryProbe(cores: Set([senderCore, switchCore]).sorted())
    }

    /// Both, for what is not pinned to one.
    var cores: [Int] { Set([senderCore, switchCore]).sorted() }

    /// Undisturbed pairs that a comparison is made of, unless the row says otherwise.
    var pairs: Int { isFull ? 10 : 6 }
    /// How long a load is applied in one trial, unless the row says otherwise.
    var seconds: Double { isFull ? 2 : 1 }
    /// For loads that are steady within milliseconds: the closer in time two trials are, the more of
    /// the machine's mood they share, so that many short pairs tell more than a few long ones.
    var shortPairs: Int { isFull ? 20 : 10 }
    var shortSeconds: Double { isFull ? 1 : 0.5 }

    var heddle: HeddleSystem { HeddleSystem(binary: "\(products)/heddle") }
    var twin: TwinSystem { TwinSystem(binary: "\(twins)/twin") }

    /// Starts a system, runs the closure, and stops it.
    func withRig<Value>(
        of system: any System, ports: Int = 2, sharing: Bool = false, _ body: (Rig) throws -> Value
    ) throws -> Value {
        let rig = try rig(of: system, ports: ports, sharing: sharing)
        defer { rig.stop() }
        return try body(rig)
    }

    /// Compares two switches by interleaved trials. Both run while either is loaded; the other one
    /// sleeps. They are started anew every other pair, so that what chance decides at a start (which
    /// pages, which queue) is drawn several times.
    func compare(
        _ lines: [Line], _ ours: any System, _ theirs: any System, ports: Int = 2,
        pairs: Int? = nil, trial: @escaping (Rig) throws -> Trial
    ) throws -> [Finding] {
        try interleave(lines, pairs: pairs) {
            let ourRig = try self.rig(of: ours, ports: ports, sharing: false)
            let theirRig: Rig
            do {
                theirRig = try self.rig(of: theirs, ports: ports, sharing: false)
            } catch {
                ourRig.stop()
                throw error
            }
            func loaded(_ rig: Rig) throws -> Trial {
                let result = try trial(rig)
                try rig.check()
                return result
            }
            return Contest(
                ours: { try loaded(ourRig) }, theirs: { try loaded(theirRig) },
                end: {
                    ourRig.stop()
                    theirRig.stop()
                })
        }
    }

    /// Compares two of anything. `start` makes both sides ready for a pair or two.
    func interleave(
        _ lines: [Line], pairs: Int? = nil, start: () throws -> Contest
    ) throws -> [Finding] {
        let comparison = try Comparison.run(
            pairs: pairs ?? self.pairs, probe: probe, progress: progress,
            start: start)
        return lines.map { comparison.finding(for: $0) }
    }

    private func rig(of system: any System, ports: Int, sharing: Bool) throws -> Rig {
        rigs += 1
        return try Rig(
            of: system, ports: ports, core: switchCore, number: rigs, sharing: sharing)
    }
}
