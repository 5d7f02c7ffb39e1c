import ArgumentParser

@main
struct Heddle: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heddle", abstract: "A software switch for virtual networks on Linux.")
}
