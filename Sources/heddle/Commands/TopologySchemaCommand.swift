import ArgumentParser
import Topology

struct TopologySchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print the JSON Schema of topology files.",
        discussion: """
            An editor completes keys and shows errors with it.

              heddle topology schema > heddle.schema.json
            """)

    func run() throws {
        let schema = JSONSchema.text
        print(schema, terminator: schema.hasSuffix("\n") ? "" : "\n")
    }
}
