import ArgumentParser
import Control
import ControlAPI

/// How to reach the switch.
struct ClientOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Socket of the switch.",
            discussion: "Default: $HEDDLE_SOCKET, then \(SocketPath.system), then the socket of "
                + "a sandbox of yours.",
            valueName: "path"))
    var socket: String?

    var http: HTTPClient { HTTPClient(path: SocketPath(option: socket)) }
    var client: SwitchClient { SwitchClient(http: http) }

    /// Opens the data socket beside the HTTP socket that answers.
    func connectDataSocket() throws -> SeqpacketSocket {
        let path = try http.answeringPath()
        return try SeqpacketSocket.connect(to: path + DataRequest.pathSuffix)
    }
}

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json
}

/// How to print a listing.
struct OutputOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "Print a table for eyes, or JSON for programs.")
    var output = OutputFormat.table

    /// Prints the value as JSON or as what `table` makes of it.
    func show<Value: APIValue>(_ value: Value, as table: (Value) -> String) throws {
        switch output {
        case .json: print(String(decoding: try value.json(pretty: true), as: UTF8.self))
        case .table: print(table(value), terminator: "")
        }
    }
}
