import ArgumentParser
import ControlAPI

struct PortAttachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach",
        abstract: "Add a TAP port to the running switch.",
        discussion: """
            The port is not part of the topology file: plans and applies leave it alone, and it \
            lasts until it is detached or the switch stops.

              heddle port attach web-3 --network blue --namespace web-3 --address 10.10.0.3/24
              heddle port attach fw-1 --trunk blue --trunk green --native blue
            """)

    @Argument(help: "Name of the new port.") var name: String
    @Option(help: "Network of an access port.") var network: String?
    @Option(help: "Network of a trunk; repeat it for each.") var trunk: [String] = []
    @Option(help: "Network that the trunk carries untagged.") var native: String?
    @Option(help: "Network namespace for the device.") var namespace: String?
    @Option(help: "Name of the device in the kernel.") var device: String?
    @Option(help: "MAC address of the device.") var mac: String?
    @Option(help: "IP address with prefix length; repeatable.") var address: [String] = []
    @Flag(help: "Reach only ports that are not isolated.") var isolated = false
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard (network == nil) != trunk.isEmpty else {
            throw ValidationError("give either --network or at least one --trunk")
        }
        guard native == nil || !trunk.isEmpty else {
            throw ValidationError("--native belongs to a --trunk")
        }
    }

    /// The port with the keys of a topology file.
    var request: PortAttachRequest {
        var tap: [String: JSONValue] = [:]
        if let namespace { tap["namespace"] = .string(namespace) }
        if let device { tap["device"] = .string(device) }
        if let mac { tap["mac"] = .string(mac) }
        if !address.isEmpty { tap["address"] = .array(address.map { .string($0) }) }
        var port: [String: JSONValue] = ["tap": .object(tap)]
        if let network { port["network"] = .string(network) }
        if !trunk.isEmpty { port["trunk"] = .array(trunk.map { .string($0) }) }
        if let native { port["native"] = .string(native) }
        if isolated { port["isolated"] = true }
        return PortAttachRequest(name: name, definition: .object(port))
    }

    func run() throws {
        try output.show(try client.client.attachPort(request)) { portText($0) }
    }
}
