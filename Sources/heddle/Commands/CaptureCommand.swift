import ArgumentParser
import Control
import ControlAPI
import Glibc

struct CaptureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture",
        abstract: "Write frames as they pass ports to a pcapng file or pipe.",
        discussion: """
            Without ports, all of them. A tunnel is one too, and shows what travels inside. \
            Capturing never slows the switch: what a slow reader does not take is counted as \
            dropped, in the file and at the end. Put the filter last.

              heddle capture web-1 -w web-1.pcapng 'icmp or arp'
              heddle capture vxlan:beta -w beta.pcapng
              heddle capture -w - | tshark -r -
            """)

    @Argument(help: "Ports, and last a filter in libpcap's language.")
    var portsAndFilter: [String] = []
    @Option(
        name: .customShort("w"),
        help: ArgumentHelp("File; - is standard output.", valueName: "file"))
    var file = "-"
    @Option(help: "Which way, seen from the switch: ingress, egress or both.")
    var direction = CaptureRequest.Direction.both
    @Option(help: ArgumentHelp("Bytes kept of each frame.", valueName: "bytes"))
    var snaplen = 262_144
    @Option(
        name: .customShort("c"),
        help: ArgumentHelp("Stop after so many frames.", valueName: "count"))
    var count: Int?
    @Option(help: ArgumentHelp("Stop after so many seconds.", valueName: "seconds"))
    var duration: Double?
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
    }

    func run() throws {
        if file == "-", Terminal.isOutputTerminal {
            throw CommandFailure(
                "a capture is not for a terminal: use -w FILE, or pipe it into a program")
        }
        let names = try client.client.ports().ports.map(\.name)
        let request = try request(
            known: Set(names + client.client.tunnels().tunnels.map(\.name)))
        // Signals are taken as events from here on, so that a capture ends with its last blocks.
        let signals = try SignalDescriptor([SIGINT, SIGTERM, SIGHUP])
        SignalDescriptor.ignoreBrokenPipes()
        let socket = try client.connectDataSocket()
        try socket.send(try DataRequest.capture(request).json())
        guard case .message(let message) = try socket.receive(descriptors: 0) else {
            throw CommandFailure("the switch closed the connection without an answer")
        }
        let reply = try dataReply(message.bytes)
        guard reply.ok else {
            throw CommandFailure((reply.error ?? "the switch refuses to capture") + hint(request))
        }
        // Opened only now: a refused capture must not empty a file that is there.
        let sink = try CaptureSink(path: file)
        var stream = CaptureStream(
            socket: socket, signals: signals, sink: sink, duration: duration)
        try stream.run()
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
            ports: ports, direction: direction, filter: expression, snaplen: snaplen,
            count: count ?? 0)
    }
}

extension CaptureRequest.Direction: ExpressibleByArgument {}
