import ArgumentParser
import FoundationEssentials
import Glibc
import Wire

struct FlowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flow",
        abstract: "Send frames from one interface to others, paced or flat out.",
        discussion: """
            An interface is NETNS:IF, where NETNS is the path of a network namespace or '-'. Prints \
            one line of JSON: rates in frames per second, latency in microseconds from when a frame \
            was due to when the receiving kernel had it.
            """)

    @Option(help: "The interface to send into, as NETNS:IF.")
    var from: Endpoint

    @Option(help: "The interfaces to receive from, as NETNS:IF, with commas between.")
    var to: EndpointList

    @Option(help: "Bytes of a frame, without the frame check sequence.")
    var size = 64

    @Option(help: "Frames per second, or 'max'.")
    var rate: Rate

    @Option(help: "How long to measure.")
    var seconds: Double

    @Option(help: "Seconds of traffic before that.")
    var warmUp = 0.0

    @Option(help: "How many pairs of addresses to use, spread over the receivers.")
    var flows: Int?

    @Option(help: "How many source addresses to go round, if more than there are flows.")
    var sources = 1

    @Option(help: "Send to this address in place of the receivers' own.")
    var destination: MACAddress?

    @Option(
        help: ArgumentHelp(
            "Go round these destinations, tagged: a VLAN ID and an address on each line.",
            valueName: "file"))
    var targets: String?

    @Option(help: "Count by the receiving device's counters, or every frame: device or frames.")
    var count: FlowPlan.Count = .device

    @Option(help: "The CPU of the sending thread.")
    var senderCPU: Int?

    @Option(help: "The CPU of the receiving thread.")
    var receiverCPU: Int?

    @Flag(help: "Report latencies; needs --count frames.")
    var latency = false

    func validate() throws {
        guard (TestFrame.minimumSize...TestFrame.maximumSize).contains(size) else {
            throw ValidationError(
                "--size is \(TestFrame.minimumSize) to \(TestFrame.maximumSize) bytes")
        }
        guard seconds > 0, seconds <= 600, warmUp >= 0, warmUp <= 600 else {
            throw ValidationError("--seconds and --warm-up are at most 600")
        }
        guard (1...65536).contains(flows ?? 1), (1...1 << 24).contains(sources) else {
            throw ValidationError("--flows is 1 to 65536, --sources 1 to 16777216")
        }
        guard targets == nil || (destination == nil && count == .device) else {
            throw ValidationError("--targets goes with --count device, not with --destination")
        }
        guard !latency || count == .frames else {
            throw ValidationError("--latency needs --count frames")
        }
    }

    func run() throws {
        let plan = FlowPlan(
            from: from, to: to.endpoints, size: size, rate: rate, seconds: seconds,
            warmUp: warmUp, flowCount: flows ?? to.endpoints.count, sourceCount: sources,
            destination: destination, targets: try targets.map(Target.read) ?? [], count: count,
            hasLatency: latency, senderCPU: senderCPU,
            receiverCPU: receiverCPU)
        try printJSON(FlowRun(plan).measure())
    }
}

extension Target {
    /// Reads a file of them.
    static func read(_ path: String) throws -> [Target] {
        let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        let targets = try text.split(separator: "\n").map { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let vlan = UInt16(words[0]), (1...4094).contains(vlan),
                let address = MACAddress(String(words[1]))
            else { throw ValidationError("'\(line)' in \(path) is no VLAN ID and MAC address") }
            return Target(vlan: vlan, address: address)
        }
        guard !targets.isEmpty else { throw ValidationError("there is nothing in \(path)") }
        return targets
    }
}

/// `NETNS:IF[,NETNS:IF…]`.
struct EndpointList: ExpressibleByArgument {
    let endpoints: [Endpoint]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        endpoints = parts.compactMap { Endpoint(argument: String($0)) }
        guard endpoints.count == parts.count else { return nil }
    }
}

extension Rate: ExpressibleByArgument {
    init?(argument: String) {
        if argument == "max" {
            self = .max
        } else if let rate = Double(argument), rate > 0, rate < 1e9 {
            self = .paced(rate)
        } else {
            return nil
        }
    }
}

extension FlowPlan.Count: ExpressibleByArgument {}
extension MACAddress: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// Prints a result as one line.
func printJSON(_ result: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    print(String(decoding: try encoder.encode(result), as: UTF8.self))
}
