import ArgumentParser

struct RequestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "request",
        abstract: "Time round trips between two interfaces.",
        discussion: """
            Prints one line of JSON: latency in microseconds from when a request was due to when its \
            reply was there, 'lost' what had no reply.
            """)

    @Option(help: "The requester's interface, as NETNS:IF.")
    var from: Endpoint

    @Option(help: "The responder's interface, as NETNS:IF.")
    var to: Endpoint

    @Option(help: "Bytes of a frame, without the frame check sequence.")
    var size = 64

    @Option(help: "Requests per second, or 'max': each when the reply to the last has come.")
    var rate: Rate

    @Option(help: "How long to measure.")
    var seconds: Double

    @Option(help: "How the ends wait for frames: block (asleep) or poll (one thread for both).")
    var wait: RequestPlan.Waiting = .block

    @Option(help: "Further frames per second from requester to responder; needs --wait poll.")
    var load: Double?

    @Option(help: "Bytes of such a frame.")
    var loadSize = 64

    @Option(help: "The CPU of the requesting thread.")
    var requesterCPU: Int?

    @Option(help: "The CPU of the responding thread.")
    var responderCPU: Int?

    func validate() throws {
        let sizes = TestFrame.minimumSize...TestFrame.maximumSize
        guard sizes.contains(size), sizes.contains(loadSize) else {
            throw ValidationError(
                "sizes are \(TestFrame.minimumSize) to \(TestFrame.maximumSize) bytes")
        }
        guard seconds > 0, seconds <= 600 else {
            throw ValidationError("--seconds is at most 600")
        }
        guard load == nil || (wait == .poll && load! > 0) else {
            throw ValidationError("--load is more than 0, and needs --wait poll")
        }
    }

    func run() throws {
        let plan = RequestPlan(
            from: from, to: to, size: size, rate: rate, seconds: seconds, load: load,
            loadSize: loadSize, waiting: wait, requesterCPU: requesterCPU,
            responderCPU: responderCPU)
        try printJSON(RequestRun(plan).measure())
    }
}

extension RequestPlan.Waiting: ExpressibleByArgument {}
