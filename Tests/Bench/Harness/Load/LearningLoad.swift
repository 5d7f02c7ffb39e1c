/// New addresses shown to a switch, then frames to each of them (RFC 2889 sections 5.7 and 5.8), by
/// heddle-generator: from the first port to the second, with the third listening for what is flooded.
struct LearningLoad {
    let addresses: Int
    /// The number of the first of them. A trial on a switch that has learned before takes others.
    var first = 1
    /// Frames to the addresses per second: slow enough for either switch.
    let verifyRate: Int

    struct Report: Decodable {
        /// Learning frames that came through.
        let forwarded: Int
        /// Addresses per second.
        let learnRate: Double
        /// Addresses whose frames arrived at their port and were not flooded.
        let learned: Int
        let flooded: Int
        let receiverDropped: Int
    }
}

extension Bench {
    func learn(_ load: LearningLoad, at rig: Rig) throws -> LearningLoad.Report {
        let ports = rig.ports.map(\.place)
        let command = [
            "\(products)/heddle-generator", "learn", "--from", ports[0], "--to", ports[1],
            "--listen", ports[2], "--addresses", "\(load.addresses)", "--first", "\(load.first)",
            "--verify-rate", "\(load.verifyRate)", "--sender-cpu", "\(senderCore)",
            "--receiver-cpu", "\(senderCore)",
        ]
        let seconds = Double(load.addresses) * 2 / Double(load.verifyRate)
        let report = try generate(LearningLoad.Report.self, command, seconds: seconds + 20)
        guard report.receiverDropped == 0 else {
            throw NotMeasured("the receiver was too slow for \(load.verifyRate) frames/s")
        }
        return report
    }
}
