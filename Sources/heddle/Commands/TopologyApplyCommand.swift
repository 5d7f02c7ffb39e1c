import ArgumentParser
import ControlAPI

struct TopologyApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Make the running switch what a topology file says.",
        discussion: """
            Prints the plan and carries it out. If an action fails, what went before is undone.

              heddle topology apply lab.yaml
            """)

    @OptionGroup var file: TopologyFile
    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        let document = try file.validated().0
        let client = client.client
        if output.output == .table {
            // The plan first, so that it stands above the error should an action fail.
            print(planText(try client.plan(document)), terminator: "")
        }
        try output.show(try client.apply(document)) { $0.summary + "\n" }
    }
}
