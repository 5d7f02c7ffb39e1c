/// Round trips between two ports, by heddle-generator.
///
/// Open loop: requests are due at a fixed rate and timed from when they were due. One thread on the
/// sender's core polls both ends and never sleeps, so that what is timed is the switch and the
/// kernel's path to and from it, not the waking of the ends.
struct RequestLoad {
    /// Requests per second.
    var rate = 1000.0
    /// 64-byte frames per second that go the same way meanwhile.
    var load: Double?

    struct Report: Decodable {
        /// Replies.
        let count: Int
        let lost: Int
        let rejected: Int
        let latency: FrameLoad.Latency
        /// Frames per second of the load that the device took, and refused.
        let loadRate: Double?
        let loadRejectedRate: Double?
    }
}

extension Bench {
    func requests(
        _ requests: RequestLoad, from: SwitchPort, to: SwitchPort, seconds: Double
    ) throws -> RequestLoad.Report {
        var command = [
            "\(products)/heddle-generator", "request", "--from", from.place, "--to", to.place,
            "--rate", "\(requests.rate)", "--seconds", "\(seconds)", "--wait", "poll",
            "--requester-cpu", "\(senderCore)",
        ]
        if let load = requests.load { command += ["--load", "\(load)"] }
        let report = try generate(RequestLoad.Report.self, command, seconds: seconds)
        guard report.count > 0 else { throw NotMeasured("no request was answered") }
        return report
    }
}
