import ArgumentParser
import ControlAPI

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version of heddle and of the running switch.",
        discussion: """
              heddle version
            """)

    @OptionGroup var output: OutputOptions
    @OptionGroup var client: ClientOptions

    func run() throws {
        // Without a switch the client's own version is still an answer.
        let daemon: VersionInfo?
        do {
            daemon = try client.client.version()
        } catch {
            guard case .noSwitch = error, output.output == .table else { throw error }
            daemon = nil
        }
        if let daemon, output.output == .json {
            try output.show(daemon) { _ in "" }
            return
        }
        print("heddle \(HeddleVersion.current)")
        if let daemon {
            let place = daemon.sandbox ? ", in a sandbox" : ""
            print(
                "switch \(daemon.version), instance \(daemon.instance), "
                    + "API \(daemon.apiVersion)\(place)"
            )
        } else {
            print("no switch is running here")
        }
    }
}
