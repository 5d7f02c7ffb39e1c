// The highest rate at which a switch loses nothing (RFC 2544 section 26.1), by bisection.
//
// The search keeps a rate at which nothing was lost and a higher one at which something was, and
// tries the middle until the two are close. Nothing was lost when the sending device refused no frame
// and the receiving one has counted every frame that was sent, warm-up included. On a virtual machine
// a core may vanish for longer than a queue lasts, which is not the switch's doing: so a rate counts
// as lossy only when two trials in a row have lost. A trial in which the devices saw frames of others
// is made again; one in which the sender itself was late counts as lossy, and is said.

struct ZeroLossSearch {
    /// Frames per second at which nothing was lost.
    private(set) var low = 0.0
    /// The lowest rate that was found lossy.
    private(set) var high: Double
    /// Whether the sender was what ended the search.
    private(set) var isSenderLimit = false

    /// - Parameters:
    ///   - ceiling: above what is possible, as the rate received flat out tells.
    ///   - precision: how close the two rates are to come, as a fraction of the higher.
    init(
        ceiling: Double, precision: Double,
        trial: (_ rate: Double) throws -> FrameLoad.Report
    ) rethrows {
        high = ceiling
        while high - low > precision * high {
            let rate = ((low + high) / 2).rounded()
            switch try Self.judge(rate, trial) {
            case .lossless:
                low = rate
            case .lossy:
                high = rate
                isSenderLimit = false
            case .late:
                high = rate
                isSenderLimit = true
            }
        }
    }

    private enum Judgement { case lossless, lossy, late }

    private static func judge(
        _ rate: Double, _ trial: (Double) throws -> FrameLoad.Report
    ) rethrows -> Judgement {
        var judgement = Judgement.lossy
        var attempts = 0
        var disturbances = 0
        while attempts < 2 {
            let report = try trial(rate)
            if report.foreign == true, disturbances < 5 {
                disturbances += 1
                continue
            }
            if isLossless(report) {
                guard report.sentRate < 0.99 * rate else { return .lossless }
                judgement = .late
            } else {
                judgement = .lossy
            }
            attempts += 1
        }
        return judgement
    }

    static func isLossless(_ report: FrameLoad.Report) -> Bool {
        report.rejected == 0 && report.lost == 0
    }
}
