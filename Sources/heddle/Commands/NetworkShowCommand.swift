import ArgumentParser
import ControlAPI

struct NetworkShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one network.",
        discussion: """
              heddle network show blue
            """)

    @Argument(help: "Name of the network.") var name: String
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.network(name)) { network in
            described([
                ("network", network.name),
                ("VLAN", "\(network.vlan)"),
                ("MTU", "\(network.mtu)"),
                ("ports", network.ports.isEmpty ? "none" : network.ports.joined(separator: ", ")),
                ("FDB entries", "\(network.fdbEntries)"),
                // Who transmitted and how is counted by port.
                (
                    "received",
                    "\(counted(network.counters.receivedFrames, "frame")), "
                        + counted(network.counters.receivedBytes, "byte")
                ),
                ("flooded", counted(network.counters.floodedFrames, "frame")),
                (
                    "dropped",
                    counted(
                        network.counters.ingressDroppedFrames
                            &+ network.counters.egressDroppedFrames, "frame")
                ),
            ])
        }
    }
}
