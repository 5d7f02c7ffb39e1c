import ArgumentParser
import Control
import ControlAPI

struct ExecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Run a command in a network namespace of the switch.",
        discussion: """
            Also reaches into a sandbox: the command runs in its user, mount and network namespace. \
            '-' is the namespace of the switch itself, where device ports have their devices. \
            Exits as the command does, with 127 if there is no such command, and with 126 if it \
            cannot be run.

              heddle exec web-1 -- ping -c 3 10.10.0.2
              heddle exec - -- ip link
            """)

    @OptionGroup var client: ClientOptions
    @Argument(help: "Name of the namespace.") var namespace: String
    @Argument(parsing: .captureForPassthrough, help: "The command and its arguments.")
    var command: [String] = []

    /// The command without the dashes that set it off.
    var program: [String] { command.first == "--" ? Array(command.dropFirst()) : command }

    func validate() throws {
        guard !program.isEmpty else {
            throw ValidationError("say what to run: heddle exec \(namespace) -- COMMAND")
        }
    }

    func run() throws {
        let socket = try client.connectDataSocket()
        try socket.send(try DataRequest.namespace(name: namespace).json())
        guard case .message(let message) = try socket.receive(descriptors: 3) else {
            throw CommandFailure("the switch closed the connection without an answer")
        }
        let reply = try dataReply(message.bytes)
        guard reply.ok else {
            throw CommandFailure(
                reply.error ?? "the switch does not give out namespace '\(namespace)'")
        }
        guard message.descriptors.count == 3 else {
            throw CommandFailure(
                "the switch sent \(message.descriptors.count) descriptors where 3 are due")
        }
        try Sandbox.joinNamespaces(
            user: message.descriptors[0], mount: message.descriptors[1],
            network: message.descriptors[2])
        do {
            try ChildProcess.becomeProgram(program)
        } catch {
            // As env(1) and shells tell it.
            Terminal.complain("\(error)")
            throw ExitCode(error.errno == .noSuchFileOrDirectory ? 127 : 126)
        }
    }
}

/// Reads the daemon's first answer on the data socket.
func dataReply(_ bytes: [UInt8]) throws -> DataReply {
    do {
        return try DataReply(json: bytes)
    } catch {
        throw CommandFailure("what answers at the data socket is not a Heddle switch")
    }
}
