import ArgumentParser
import Control
import ControlAPI
import Trace
import Wire

struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Say what would become of a frame, and why; sends nothing.",
        discussion: """
            Asks the running switch, or with --topology takes a file and needs no switch. With \
            --candidate, replays a capture through another topology and says which frames would \
            end otherwise; exits 0 if none would, 2 if some would, and 1 on errors. What became of \
            them is taken from --topology, or else from the capture's own verdicts.

              heddle trace --port web-1 --dst 02:00:00:00:00:02 --vlan 10
              heddle trace --port web-1 --arp 10.10.0.2
              heddle trace --topology lab.yaml --pcap web-1.pcapng
              heddle trace --pcap web-1.pcapng --topology lab.yaml --candidate new.yaml
            """)

    @Option(
        help: ArgumentHelp(
            "Port or tunnel that the frame comes from; of a capture file, that all frames come from.",
            valueName: "port"))
    var port: String?
    @Option(
        help: ArgumentHelp("Trace an empty frame to this MAC address.", valueName: "mac"))
    var dst: String?
    @Option(
        help: ArgumentHelp("Trace the ARP request for this IPv4 address.", valueName: "address"))
    var arp: String?
    @Option(
        help: ArgumentHelp(
            "Trace this frame, in hexadecimal, from its destination address on.",
            valueName: "hex"))
    var frame: String?
    @Option(
        help: ArgumentHelp(
            "Trace the frames that came in, of a pcapng or pcap file; - is standard input.",
            valueName: "file"), completion: .file())
    var pcap: String?
    @Option(
        help: ArgumentHelp(
            "Source of the frame, instead of the port's own MAC address.", valueName: "mac"))
    var src: String?
    @Option(help: ArgumentHelp("Tag the frame with this VLAN, 1 to 4094.", valueName: "vlan"))
    var vlan: Int?
    @Option(
        help: ArgumentHelp(
            "Of a tunnel that carries several networks, which the frame is of.",
            valueName: "network"))
    var network: String?
    @Option(
        name: .customShort("c"),
        help: ArgumentHelp("Frames of a capture file to explain.", valueName: "count"))
    var count = 10
    @Option(
        help: ArgumentHelp(
            "Trace through this topology instead of the running switch.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var topology: String?
    @Option(
        help: ArgumentHelp(
            "Say which frames of the capture would end otherwise under this topology.",
            valueName: "file"), completion: .file(extensions: ["yaml"]))
    var candidate: String?
    @Option(
        help: ArgumentHelp(
            "Which of the topology's hosts the switch is.", valueName: "name"))
    var host: String?
    @Option(
        help: ArgumentHelp(
            "What the paths to a topology's other hosts carry, in bytes.", valueName: "bytes"))
    var underlayMtu = 1500
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func validate() throws {
        let given = [dst, arp, frame, pcap].compactMap { $0 }.count
        guard given == 1 else {
            throw ValidationError(
                given == 0
                    ? "say what to trace: --dst MAC, --arp ADDRESS, --frame HEX or --pcap FILE"
                    : "--dst, --arp, --frame and --pcap exclude each other: give one")
        }
        guard pcap != nil || port != nil else {
            throw ValidationError("say where the frame comes from: --port PORT")
        }
        guard candidate == nil || pcap != nil else {
            throw ValidationError("--candidate replays a capture: name one with --pcap FILE")
        }
        guard dst != nil || arp != nil || (src == nil && vlan == nil) else {
            throw ValidationError("--src and --vlan are for --dst and --arp: leave them out")
        }
        guard host == nil || topology != nil || candidate != nil else {
            throw ValidationError(
                "--host chooses among the hosts of a file: give it with --topology or --candidate")
        }
        guard count > 0 else { throw ValidationError("-c: give a number of frames above 0") }
        guard (576...65_535).contains(underlayMtu) else {
            throw ValidationError("--underlay-mtu \(underlayMtu): give 576 to 65535 bytes")
        }
        _ = try (mac(dst, "--dst"), mac(src, "--src"), tag(), target())
    }

    func run() throws {
        if let candidate, let pcap {
            try WhatIfRun(
                file: pcap, candidate: try offline(candidate),
                baseline: try topology.map { try offline($0) }, port: port
            ).run(output)
            return
        }
        let tracer = try tracer()
        if let pcap {
            try output.show(try traces(of: pcap, tracer)) { traceListText($0, file: pcap) }
        } else {
            let port = port ?? ""
            let bytes = try bytes(tracer, port)
            try output.show(try tracer.trace(bytes, port, network)) { traceText($0) }
        }
    }

    // MARK: What answers

    private func tracer() throws -> any FrameTracer {
        guard let topology else { return LiveTracer(client: client.client) }
        return OfflineTracer(offline: try offline(topology))
    }

    private func offline(_ path: String) throws -> OfflineSwitch {
        var file = TopologyFile()
        file.file = path
        let (document, topology) = try file.validated()
        do {
            return try OfflineSwitch(topology, host: host, underlayMTU: underlayMtu)
        } catch {
            throw CommandFailure("\(document.name): \(error)")
        }
    }

    // MARK: What is traced

    private func mac(_ text: String?, _ option: String) throws -> MACAddress? {
        try text.map {
            guard let address = MACAddress($0) else {
                throw ValidationError(
                    "\(option) '\($0)' is no MAC address such as 02:00:00:00:00:01")
            }
            return address
        }
    }

    private func tag() throws -> VLANID? {
        try vlan.map {
            guard let tag = VLANID($0) else {
                throw ValidationError("--vlan \($0): give 1 to 4094")
            }
            return tag
        }
    }

    private func target() throws -> IPv4Address? {
        try arp.map {
            guard let address = IPv4Address($0) else {
                throw ValidationError("--arp '\($0)' is no IPv4 address such as 10.10.0.2")
            }
            return address
        }
    }

    /// The one frame that the options describe.
    private func bytes(_ tracer: any FrameTracer, _ port: String) throws -> [UInt8] {
        if let frame {
            do {
                return try ProbeFrame.bytes(hex: frame)
            } catch {
                throw CommandFailure("--frame: \(error)")
            }
        }
        let station = try tracer.station(at: port)
        let source = try mac(src, "--src") ?? station.mac ?? ProbeFrame.standInSource
        if let target = try target() {
            return ProbeFrame.arpRequest(
                for: target, from: source, station.address, vlan: try tag())
        }
        return ProbeFrame.plain(
            to: try mac(dst, "--dst") ?? .broadcast, from: source, vlan: try tag())
    }

    private func traces(of path: String, _ tracer: any FrameTracer) throws -> TraceList {
        try CaptureTraces(tracer: tracer, port: port, network: network, limit: count)
            .run(path)
    }
}
