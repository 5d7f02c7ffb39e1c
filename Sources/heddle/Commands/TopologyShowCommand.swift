import ArgumentParser

struct TopologyShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print the topology in force.",
        discussion: """
            As YAML that 'heddle topology apply' takes, or as JSON.

              heddle topology show > lab.yaml
            """)

    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        try output.show(try client.client.topology()) {
            $0.text.hasSuffix("\n") ? $0.text : $0.text + "\n"
        }
    }
}
