import ArgumentParser
import ControlAPI

struct TunnelShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one tunnel.",
        discussion: """
              heddle tunnel show vxlan:beta
            """)

    @Argument(help: "Name of the tunnel, as 'tunnel list' prints it.") var name: String
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.tunnel(name)) { tunnelText($0) }
    }
}

func tunnelText(_ tunnel: TunnelInfo) -> String {
    let way = [
        tunnel.gateway.map { "through \($0)" }, tunnel.device.map { "on \($0)" },
        tunnel.neighbour.map { "next hop \($0)" },
    ].compactMap { $0 }.joined(separator: ", ")
    return described([
        ("tunnel", "\(tunnel.name) (number \(tunnel.number))"),
        ("state", tunnel.state.rawValue + (tunnel.reason.map { ": \($0)" } ?? "")),
        ("host", tunnel.host),
        (
            "encapsulation",
            tunnel.kind + (tunnel.port.map { ", UDP port \($0)" } ?? "")
        ),
        ("path", "\(tunnel.local) to \(tunnel.remote)" + (way.isEmpty ? "" : ", \(way)")),
        ("underlay MTU", tunnel.underlayMTU.map { "\($0)" }),
        ("packets that fit", "up to \(tunnel.maximumPacket) bytes"),
        ("probe", tunnel.probe.rawValue),
        ("last heard", tunnel.lastHeard),
        ("networks", tunnel.networks.joined(separator: ", ")),
    ]) + trafficText(tunnel.counters)
}
