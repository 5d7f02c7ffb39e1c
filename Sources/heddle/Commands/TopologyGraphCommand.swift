import ArgumentParser
import Topology

struct TopologyGraphCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph",
        abstract: "Draw a topology file as a Mermaid graph; needs no running switch.",
        discussion: """
            Put the output into a Markdown page, or into a Mermaid viewer.

              heddle topology graph lab.yaml > lab.mmd
            """)

    @OptionGroup var file: TopologyFile

    func run() throws {
        let graph = try file.validated().1.mermaid
        print(graph, terminator: graph.hasSuffix("\n") ? "" : "\n")
    }
}
