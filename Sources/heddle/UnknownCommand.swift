import ArgumentParser
import Topology

/// A word of the command line where a command's name belongs, and that is none.
struct UnknownCommand {
    /// The names before it: `heddle fdb`.
    private let path: String
    private let word: String
    private let command: any ParsableCommand.Type

    /// Nil when every such word is a command's name.
    init?(in arguments: [String], of root: any ParsableCommand.Type) {
        var command = root
        var path = [Self.name(root)]
        for word in arguments {
            // An option, or 'help', which the parser knows.
            guard !word.hasPrefix("-"), word != "help",
                !command.configuration.subcommands.isEmpty
            else { return nil }
            guard
                let next = command.configuration.subcommands.first(where: { Self.name($0) == word })
            else {
                self.path = path.joined(separator: " ")
                self.word = word
                self.command = command
                return
            }
            command = next
            path.append(word)
        }
        return nil
    }

    /// What is wrong, what was likely meant, and what there is.
    var sentence: String {
        let subcommands = command.configuration.subcommands
        let shown = subcommands.filter { $0.configuration.shouldDisplay }.map(Self.name)
        let near = nearestWord(to: word, among: shown) ?? parent.map { "\($0) \(word)" }
        return "there is no command '\(path) \(word)'"
            + (near.map { " (did you mean '\(path) \($0)'?)" } ?? "")
            + "; there are: \(shown.joined(separator: ", "))"
    }

    /// The first command that has one of this name, as `topology` has `apply`.
    private var parent: String? {
        command.configuration.subcommands.first {
            $0.configuration.subcommands.contains { Self.name($0) == word }
        }.map(Self.name)
    }

    private static func name(_ command: any ParsableCommand.Type) -> String {
        command.configuration.commandName ?? ""
    }
}
