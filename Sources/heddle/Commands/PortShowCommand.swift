import ArgumentParser
import ControlAPI

struct PortShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one port.",
        discussion: """
              heddle port show web-1
            """)

    @Argument(help: "Name of the port.") var name: String
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.port(name)) { portText($0) }
    }
}

func portText(_ port: PortInfo) -> String {
    described([
        ("port", "\(port.name) (number \(port.number), \(port.origin.rawValue))"),
        ("state", port.state.rawValue + (port.reason.map { ": \($0)" } ?? "")),
        ("kind", port.kind),
        ("device", port.device),
        ("namespace", port.namespace),
        ("socket", port.socket),
        ("peer", port.peer),
        ("found by", port.template.map { "the pattern of port \($0)" }),
        ("mode", port.mode.rawValue + (port.isolated ? ", isolated" : "")),
        ("networks", port.membership),
        ("MAC", port.mac),
        ("addresses", port.addresses.isEmpty ? nil : port.addresses.joined(separator: ", ")),
        ("MTU", "\(port.mtu)"),
        ("offloads", port.offloads.isEmpty ? "none" : port.offloads.joined(separator: ", ")),
    ]) + trafficText(port.counters)
}

/// The counters with both conservation sums, ingress and egress.
func trafficText(_ counters: TrafficCounters) -> String {
    described([
        (
            "received",
            "\(counted(counters.receivedFrames, "frame")), "
                + "\(counted(counters.receivedSegments, "segment")), "
                + counted(counters.receivedBytes, "byte")
        ),
        (
            "of these",
            "\(counters.forwardedFrames) forwarded, \(counters.floodedFrames) flooded, "
                + "\(counters.consumedFrames) consumed, \(counters.ingressDroppedFrames) dropped"
        ),
        (
            "transmitted",
            "\(counted(counters.transmittedFrames, "frame")), "
                + "\(counted(counters.transmittedSegments, "segment")), "
                + counted(counters.transmittedBytes, "byte")
        ),
        (
            "of copies",
            "\(counters.egressCopies) made, \(counters.queuedFrames) queued, "
                + "\(counters.egressDroppedFrames) dropped"
        ),
    ])
}
