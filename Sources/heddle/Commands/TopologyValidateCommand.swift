import ArgumentParser

struct TopologyValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check a topology file; needs no running switch.",
        discussion: """
            Prints one line for each error, with file, line, column and what would be right. Notes
            are about what is valid and may not be meant.

              heddle topology validate lab.yaml
            """)

    @OptionGroup var file: TopologyFile

    func run() throws {
        let (document, topology) = try file.validated()
        for note in topology.notes { print(printable(note.line(file: document.name))) }
        let hosts =
            topology.hosts.isEmpty ? "" : "\(counted(topology.hosts.count, "host")), "
        print(
            "\(document.name): valid: \(hosts)\(counted(topology.networks.count, "network")), "
                + counted(topology.ports.count, "port"))
    }
}

/// `1 port`, `2 ports`.
func counted(_ count: some BinaryInteger, _ noun: String) -> String {
    "\(count) \(noun)\(count == 1 ? "" : "s")"
}
