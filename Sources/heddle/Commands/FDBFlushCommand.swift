import ArgumentParser
import ControlAPI

struct FDBFlushCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flush",
        abstract: "Forget learned entries.",
        discussion: """
            Frames to a forgotten address are flooded until it is seen again.

              heddle fdb flush --port web-1
            """)

    @Option(help: "Only entries of this network.") var network: String?
    @Option(help: "Only entries behind this port.") var port: String?
    @Option(help: "Only entries of this MAC address.") var mac: String?
    @Flag(help: "Every learned entry.") var all = false
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func validate() throws {
        let isNarrowed = network != nil || port != nil || mac != nil
        guard isNarrowed != all else {
            throw ValidationError("say what to forget: --network, --port or --mac, or else --all")
        }
    }

    func run() throws {
        let request = FDBFlushRequest(network: network, port: port, mac: mac)
        try output.show(try client.client.flushFDB(request)) { "\($0.removed) removed\n" }
    }
}
