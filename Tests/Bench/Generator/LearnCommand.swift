import ArgumentParser

struct LearnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "learn",
        abstract: "Show a switch new addresses, and see whether it has learned them.",
        discussion: """
            Prints one line of JSON: 'learned' are the addresses whose frames then arrived at the \
            learning port and were not flooded to the listening one.
            """)

    @Option(help: "The interface at which the new addresses are, as NETNS:IF.")
    var from: Endpoint

    @Option(help: "The interface that they send to, and that then sends to them.")
    var to: Endpoint

    @Option(help: "The interface at which flooded frames are seen.")
    var listen: Endpoint

    @Option(help: "How many addresses.")
    var addresses: Int

    @Option(help: "The number of the first, so that a later run can use others; from 1.")
    var first = 1

    @Option(help: "New addresses per second, or 'max'.")
    var rate: Rate = .max

    @Option(help: "Frames per second to the addresses afterwards.")
    var verifyRate: Rate

    @Option(help: "Seconds between the two.")
    var settle = 0.2

    @Option(help: "The CPU of the sending thread.")
    var senderCPU: Int?

    @Option(help: "The CPU of the receiving thread.")
    var receiverCPU: Int?

    func validate() throws {
        guard addresses > 0, first > 0, first + addresses <= 1 << 24 else {
            throw ValidationError("--first and --addresses are at least 1, together below 16777216")
        }
        guard (0...60).contains(settle) else { throw ValidationError("--settle is at most 60") }
    }

    func run() throws {
        let plan = LearnPlan(
            from: from, to: to, listen: listen, addressCount: addresses, firstAddress: first,
            rate: rate, verifyRate: verifyRate, settle: settle, senderCPU: senderCPU,
            receiverCPU: receiverCPU)
        try printJSON(LearnRun(plan).measure())
    }
}
