import ArgumentParser

/// The traffic generator of the benchmark: frames into one network interface, frames out of others.
///
/// Every subcommand prints one JSON object on one line, or exits with a sentence on stderr.
@main
struct Generator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heddle-generator",
        abstract: "Sends test frames through a switch and says what became of them.",
        subcommands: [FlowCommand.self, RequestCommand.self, LearnCommand.self])
}
