import ArgumentParser
import Topology

struct TopologyGraphCommand: ParsableCommand {
    /// The language that the graph is written in.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case mermaid, dot
    }

    static let configuration = CommandConfiguration(
        commandName: "graph",
        abstract: "Draw a topology file as a graph; needs no running switch.",
        discussion: """
            Put Mermaid into a Markdown page, or into a Mermaid viewer; Graphviz draws DOT.

              heddle topology graph lab.yaml > lab.mmd
              heddle topology graph --format dot lab.yaml | dot -Tsvg > lab.svg
            """)

    @Option(help: "Language of the graph.") var format = Format.mermaid
    @OptionGroup var file: TopologyFile

    func run() throws {
        let topology = try file.validated().1
        switch format {
        case .mermaid: print(topology.mermaid, terminator: "")
        case .dot: print(topology.dot, terminator: "")
        }
    }
}
