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
    var heddleVhost: HeddleVhostSystem { HeddleVhostSystem(binary: "\(products)/heddle") }
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
    /// sleeps, or is stopped where it does not sleep of itself. They are started anew every other pair, so that what chance decides at a start (which
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
            for rig in [ourRig, theirRig] { rig.pause() }
            func loaded(_ rig: Rig) throws -> Trial {
                rig.resume()
                defer { rig.pause() }
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

    /// Runs a switch for virtual machines with its guests, and stops both.
    func withRig<Value>(
        of system: any VhostSystem, guests: Guests.Setup, _ body: (VhostRig) throws -> Value
    ) throws -> Value {
        let rig = try rig(of: system, guests: guests)
        defer { rig.stop() }
        rig.resume()
        return try body(rig)
    }

    /// Compares two switches for virtual machines, each with guests of its own, as `compare` does.
    func compare(
        _ lines: [Line], _ ours: any VhostSystem, _ theirs: any VhostSystem, guests: Guests.Setup,
        pairs: Int? = nil, trial: @escaping (VhostRig) throws -> Trial
    ) throws -> [Finding] {
        try interleave(lines, pairs: pairs) {
            let ourRig = try self.rig(of: ours, guests: guests)
            let theirRig: VhostRig
            do {
                theirRig = try self.rig(of: theirs, guests: guests)
            } catch {
                ourRig.stop()
                throw error
            }
            return Contest(
                ours: { try ourRig.measure(trial) }, theirs: { try theirRig.measure(trial) },
                end: {
                    ourRig.stop()
                    theirRig.stop()
                })
        }
    }

    /// To be stopped by the caller.
    func rig(of system: any VhostSystem, guests: Guests.Setup) throws -> VhostRig {
        rigs += 1
        return try VhostRig(
            of: system, guests: guests, program: "\(twins)/virtio", core: switchCore,
            guestCore: senderCore, number: rigs)
    }

    /// To be stopped by the caller.
    func rig(of system: any System, ports: Int, sharing: Bool = false) throws -> Rig {
        rigs += 1
        return try Rig(
            of: system, ports: ports, core: switchCore, number: rigs, sharing: sharing)
    }
}
