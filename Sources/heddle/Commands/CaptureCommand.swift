import ArgumentParser
import Control
import ControlAPI
import Glibc

struct CaptureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture",
        abstract: "Write frames as they pass ports to a pcapng file or pipe.",
        discussion: """
            Without ports, all of them. A tunnel is one too, and shows what travels inside. Each \
            frame says what became of it. Capturing never slows the switch: what a slow reader \
            does not take is counted as dropped, in the file and at the end. Put the filter last.

              heddle capture web-1 -w web-1.pcapng 'icmp or arp'
              heddle capture --network blue -w - | tshark -r -
              heddle capture --drops -w drops.pcapng
              heddle capture --drops vlan-not-allowed -w drops.pcapng
              heddle capture --since 10s -w past.pcapng
              heddle capture vxlan:beta --outer -w beta.pcapng
            """)

    @Argument(help: "Ports, with --drops also reasons, and last a filter in libpcap's language.")
    var portsAndFilter: [String] = []
    @Option(
        name: .customShort("w"),
        help: ArgumentHelp("File; - is standard output.", valueName: "file"))
    var file = "-"
    @Option(help: "Which way, seen from the switch: ingress, egress or both.")
    var direction = CaptureRequest.Direction.both
    @Option(help: ArgumentHelp("Only frames of this network; repeatable.", valueName: "network"))
    var network: [String] = []
    @Flag(help: "Only frames that are dropped.") var drops = false
    @Option(
        name: .customLong("as"),
        help: """
            How frames are shown: seen, as they pass the switch, or wire, with checksums complete \
            and super-frames cut.
            """)
    var view = CaptureRequest.View.seen
    @Flag(help: "Tunnels show whole packets of the underlay.") var outer = false
    @Option(
        help: ArgumentHelp(
            "Write the past: what the flight recorder kept of the last seconds, such as 10s.",
            valueName: "time"))
    var since: TimeSpan?
    @Option(
        help: ArgumentHelp(
            "Write what an event froze ('heddle events' names it).", valueName: "number"))
    var recording: Int?
    @Option(help: ArgumentHelp("Bytes kept of each frame.", valueName: "bytes"))
    var snaplen = 262_144
    @Option(
        name: .customShort("c"),
        help: ArgumentHelp("Stop after so many frames.", valueName: "count"))
    var count: Int?
    @Option(help: ArgumentHelp("Stop after so many seconds.", valueName: "seconds"))
    var duration: Double?
    @Option(
        name: [.customShort("C"), .customLong("rotate-size")],
        help: ArgumentHelp(
            "Begin another file after so many bytes, such as 100M: FILE-00001.pcapng and on.",
            valueName: "size"))
    var rotateSize: ByteSize?
    @Option(
        name: [.customShort("W"), .customLong("rotate-count")],
        help: ArgumentHelp("Keep so many files, the newest.", valueName: "count"))
    var rotateCount: Int?
    @Option(
        help: ArgumentHelp(
            "The filter, if it is to stand elsewhere than last.", valueName: "filter"))
    var filter: String?
    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard (1...262_144).contains(snaplen) else {
            throw ValidationError("--snaplen \(snaplen): give 1 to 262144 bytes")
        }
        guard count.map({ $0 > 0 }) ?? true else {
            throw ValidationError("-c: give a number of frames above 0")
        }
        guard duration.map({ $0 > 0 && $0 <= 1e8 }) ?? true else {
            throw ValidationError("--duration: give a number of seconds above 0")
        }
        if since != nil, recording != nil {
            throw ValidationError("--since and --recording: give one of them")
        }
        if outer, since != nil || recording != nil {
            throw ValidationError("--outer: the flight recorder keeps inner frames only")
        }
        if rotateSize != nil, file == "-" {
            throw ValidationError("--rotate-size: name a file with -w")
        }
        if rotateCount != nil, rotateSize == nil {
            throw ValidationError("--rotate-count: say with --rotate-size how large a file may be")
        }
        guard rotateCount.map({ $0 > 0 }) ?? true else {
            throw ValidationError("--rotate-count: give a number of files above 0")
        }
    }

    func run() throws {
        if file == "-", Terminal.isOutputTerminal {
            throw CommandFailure(
                "a capture is not for a terminal: use -w FILE, or pipe it into a program")
        }
        let names = try client.client.ports().ports.map(\.name)
        let request = try request(
            known: Set(names + client.client.tunnels().tunnels.map(\.name)))
        try CaptureClient(client: client, request: request).run(
            hint: hint(request), duration: duration
        ) {
            try CaptureSink(path: file, limit: rotateSize?.byteCount, count: rotateCount)
        }
    }

    /// A single word that is no filter was likely meant to be a port.
    private func hint(_ request: CaptureRequest) -> String {
        guard filter == nil, !request.filter.isEmpty, !request.filter.contains(" ") else {
            return ""
        }
        return " ('\(request.filter)' is no port either: 'heddle port list' names them)"
    }

    /// Splits what was given into ports and a filter: the last word is the filter unless it is the
    /// name of a port.
    func request(known: Set<String>) throws -> CaptureRequest {
        var ports = portsAndFilter
        var expression = filter ?? ""
        var reasons: [String] = []
        if drops {
            reasons = ports.filter { !known.contains($0) && CaptureCommand.isReason($0) }
            ports.removeAll { reasons.contains($0) }
        }
        if filter == nil, let last = ports.last, !known.contains(last) {
            expression = last
            ports.removeLast()
        }
        for port in ports where !known.contains(port) {
            throw CommandFailure(
                "there is no port '\(port)': 'heddle port list' names them "
                    + "(a filter is one word, in quotes, and comes last)")
        }
        return CaptureRequest(
            ports: ports, networks: network, direction: direction, drops: drops,
            reasons: reasons, filter: expression, snaplen: snaplen, count: count ?? 0,
            view: view, outer: outer, since: since?.seconds, recording: recording)
    }

    /// Whether a word looks like the name of a drop reason, which no filter of one word does.
    private static func isReason(_ word: String) -> Bool {
        ["runt", "oversize", "hairpin", "isolated"].contains(word)
            || (word.contains("-") && word.allSatisfy { $0 == "-" || ("a"..."z").contains($0) })
    }
}

extension CaptureRequest.Direction: ExpressibleByArgument {}
extension CaptureRequest.View: ExpressibleByArgument {}
