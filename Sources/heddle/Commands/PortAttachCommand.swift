import ArgumentParser
import ControlAPI
import Glibc

struct PortAttachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach",
        abstract: "Add a port to the running switch.",
        discussion: """
            The port is not part of the topology file: plans and applies leave it alone, and it \
            lasts until it is detached or the switch stops; with --lease only as long as this \
            command runs. Without a kind it is a TAP.

              heddle port attach web-3 --network blue --namespace web-3 --address 10.10.0.3/24
              heddle port attach fw-1 --trunk blue --trunk green --native blue
              heddle port attach vm-1 --network blue --vhost-user /run/vm-1.sock
              heddle port attach vm-2 --network blue --qemu-stream /run/vm-2.sock --group kvm
              heddle port attach vm-3 --network blue --existing-device vnet3
            """)

    @Argument(help: "Name of the new port.") var name: String?
    @Option(name: .customLong("name"), help: "The same, as an option.") var nameOption: String?
    @Option(help: "Network of an access port.") var network: String?
    @Option(help: "Network of a trunk; repeat it for each.") var trunk: [String] = []
    @Option(help: "Network that the trunk carries untagged.") var native: String?
    @OptionGroup(title: "Kind") var kind: PortKindOptions
    @Flag(help: "Reach only ports that are not isolated.") var isolated = false
    @Flag(help: "Stay, and detach the port when this command ends, however it does.")
    var lease = false
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard (name == nil) != (nameOption == nil) else {
            throw ValidationError("give the port's name once: heddle port attach NAME …")
        }
        guard (network == nil) != trunk.isEmpty else {
            throw ValidationError("give either --network or at least one --trunk")
        }
        guard native == nil || !trunk.isEmpty else {
            throw ValidationError("--native belongs to a --trunk")
        }
    }

    /// The port with the keys of a topology file.
    var request: PortAttachRequest {
        let (key, attachment) = kind.attachment
        var port: [String: JSONValue] = [key: .object(attachment)]
        if let network { port["network"] = .string(network) }
        if !trunk.isEmpty { port["trunk"] = .array(trunk.map { .string($0) }) }
        if let native { port["native"] = .string(native) }
        if isolated { port["isolated"] = true }
        return PortAttachRequest(name: name ?? nameOption ?? "", definition: .object(port))
    }

    func run() throws {
        guard lease else {
            return try output.show(try client.client.attachPort(request)) { portText($0) }
        }
        // The connection is the lease: taken before the port is there, so that none outlives it.
        let socket = try client.connectDataSocket()
        try socket.send(try DataRequest.lease(port: request).json())
        guard case .message(let message) = try socket.receive() else {
            throw CommandFailure("the switch closed the connection without an answer")
        }
        let reply = try dataReply(message.bytes)
        guard reply.ok else { throw CommandFailure(reply.error ?? "the switch refuses the lease") }
        try output.show(try client.client.port(request.name)) { portText($0) }
        fflush(nil)
        // Until somebody ends this process, or the switch ends.
        _ = try socket.receive()
        throw CommandFailure("the switch has ended the lease of port '\(request.name)'")
    }
}
