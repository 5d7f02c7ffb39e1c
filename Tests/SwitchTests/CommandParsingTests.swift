import ArgumentParser
import Control
import ControlAPI
import Testing

@testable import heddle

@Suite("The command line")
struct CommandParsingTests {
    static let wrong: [([String], String)] = [
        (["frob"], "Unexpected argument 'frob'"),
        (["port", "lst"], "Unexpected argument 'lst'"),
        (["port", "show"], "Missing expected argument '<name>'"),
        (["port", "list", "--output", "xml"], "--output"),
        (["port", "attach", "a"], "give either --network or at least one --trunk"),
        (["port", "attach", "a", "--network", "b", "--trunk", "c"], "either --network or"),
        (["port", "attach", "a", "--network", "b", "--native", "b"], "--native belongs"),
        (["fdb", "flush"], "say what to forget"),
        (["fdb", "flush", "--all", "--port", "a"], "say what to forget"),  // both is unclear
        (["run", "--workers", "0"], "--workers 0"),
        (["run", "--workers", "x"], "--workers"),
        (["run", "--log-level", "loud"], "--log-level"),
        (["exec", "web-1"], "say what to run"),
        (["exec", "web-1", "--"], "say what to run"),
        (["capture", "-c", "0"], "above 0"),
        (["capture", "--snaplen", "-1"], "--snaplen"),
        (["capture", "--duration", "nan"], "--duration"),
        (["capture", "--direction", "up"], "--direction"),
        (["top", "--interval", "0"], "--interval"),
        (["top", "--count", "0"], "--count"),
        (["top", "--sort", "size"], "--sort"),
        (["topology", "graph", "t.yaml", "--format", "png"], "--format"),
        (["topology", "plan"], "Missing expected argument '<file>'"),
        (["events", "--since", "soon"], "--since"),
        (["events", "--since", "5w"], "--since"),  // weeks
        (["events", "--since", "m"], "--since"),  // of what
        (["events", "--kind", "flood"], "--kind"),
        (["who"], "Missing expected argument '<query>'"),
        (["trace", "--port", "a"], "say what to trace"),
        (["trace", "--dst", "02:00:00:00:00:01"], "--port PORT"),
        (["trace", "--port", "a", "--frame", "00", "--arp", "10.0.0.1"], "exclude each other"),
        (["trace", "--port", "a", "--dst", "here"], "'here' is no MAC address"),
        (["trace", "--port", "a", "--arp", "fe80::1"], "'fe80::1' is no IPv4 address"),
        (["trace", "--port", "a", "--arp", "10.0.0.1", "--vlan", "4095"], "--vlan 4095"),
        (["trace", "--port", "a", "--frame", "00", "--vlan", "1"], "--src and --vlan are for"),
        (["trace", "--port", "a", "--frame", "00", "--candidate", "b"], "name one with --pcap"),
        (["trace", "--port", "a", "--frame", "00", "--host", "b"], "--host chooses"),
        (["trace", "--pcap", "a", "-c", "0"], "above 0"),
        (["trace", "--pcap", "a", "--underlay-mtu", "9"], "--underlay-mtu 9"),
    ]

    @Test("a list of events begins so long ago, or after a number")
    func eventsSince() {
        let rows: [(String, EventsSince?)] = [
            ("90s", .ago(seconds: 90)), ("10m", .ago(seconds: 600)),
            ("2h", .ago(seconds: 7_200)), ("1d", .ago(seconds: 86_400)), ("17", .after(17)),
            ("-5s", nil), ("", nil), ("1.5h", nil),
        ]
        for (text, since) in rows { #expect(EventsSince(argument: text) == since, "\(text)") }
    }

    @Test("says what is wrong and exits 1", arguments: wrong)
    func errors(_ arguments: [String], _ text: String) {
        let error = #expect(throws: (any Error).self) { try Heddle.parseAsRoot(arguments) }
        guard let error else { return }
        let outcome = Heddle.outcome(of: error)
        #expect(outcome.status == 1)
        #expect(outcome.text.contains(text), "\(outcome.text)")
        #expect(!outcome.text.hasPrefix("Error"))
    }

    @Test("a word that is no command gets what was likely meant, and what there is")
    func unknownCommands() {
        let rows: [([String], String?)] = [
            (["frob"], "there is no command 'heddle frob'; there are: run, topology, port,"),
            (["port", "lst"], "no command 'heddle port lst' (did you mean 'heddle port list'?)"),
            (["apply", "a.yaml"], "(did you mean 'heddle topology apply'?)"),
            (["port", "list"], nil), (["port"], nil), (["help", "port"], nil), ([], nil),
            (["port", "--help"], nil), (["who", "frob"], nil), (["--version"], nil),
        ]
        for (arguments, text) in rows {
            let sentence = UnknownCommand(in: arguments, of: Heddle.self)?.sentence
            #expect((sentence == nil) == (text == nil), "\(arguments)")
            if let text { #expect(sentence?.contains(text) == true, "\(sentence ?? "nothing")") }
        }
    }

    @Test("exits 0 for help and version, and with what a command chose")
    func statuses() throws {
        for arguments in [["--help"], ["port", "list", "--help"], ["--version"]] {
            let error = #expect(throws: (any Error).self) {
                var command = try Heddle.parseAsRoot(arguments)
                try command.run()
            }
            if let error { #expect(Heddle.outcome(of: error).status == 0) }
        }
        #expect(Heddle.outcome(of: ExitCode(2)).status == 2)
        #expect(Heddle.outcome(of: CommandFailure("no")) == ("no", 1))
    }

    @Test("every command says what it is for and gives an example")
    func helpTexts() {
        func check(_ command: any ParsableCommand.Type) {
            let configuration = command.configuration
            #expect(configuration.abstract.hasSuffix("."), "\(command)")
            if configuration.subcommands.isEmpty {
                #expect(configuration.discussion.contains("heddle "), "\(command)")
            }
            configuration.subcommands.forEach { check($0) }
        }
        check(Heddle.self)
    }

    @Test("passes a command to exec untouched, with or without dashes")
    func exec() throws {
        for arguments in [["web-1", "--", "ping", "-c", "1"], ["web-1", "ping", "-c", "1"]] {
            let command = try #require(
                try Heddle.parseAsRoot(["exec"] + arguments) as? ExecCommand)
            #expect(command.namespace == "web-1")
            #expect(command.program == ["ping", "-c", "1"])
        }
    }

    @Test("hands run's options on")
    func run() throws {
        let command = try #require(
            try Heddle.parseAsRoot([
                "run", "lab.yaml", "--sandbox", "--workers", "2", "--state", "/s", "--socket",
                "/x", "--log-level", "debug",
            ]) as? RunCommand)
        #expect(
            command.options
                == RunOptions(
                    file: "lab.yaml", socketPath: "/x", stateDirectory: "/s", workerCount: 2,
                    sandbox: true, logLevel: .debug))
    }

    @Test("attaches a port with the keys of a topology file")
    func attach() throws {
        let command = try #require(
            try Heddle.parseAsRoot([
                "port", "attach", "a", "--trunk", "b", "--trunk", "c", "--native", "b",
                "--namespace", "n", "--address", "10.0.0.1/24", "--isolated",
            ]) as? PortAttachCommand)
        #expect(
            command.request.definition == [
                "trunk": ["b", "c"], "native": "b", "isolated": true,
                "tap": ["namespace": "n", "address": ["10.0.0.1/24"]],
            ])
    }

    @Test("takes the last word of capture for a filter unless it is a port")
    func captureFilter() throws {
        func request(_ arguments: String...) throws -> CaptureRequest {
            let command = try #require(
                try Heddle.parseAsRoot(["capture"] + arguments) as? CaptureCommand)
            return try command.request(known: ["a", "b"])
        }
        #expect(try request().ports == [])
        #expect(try request("a", "b").ports == ["a", "b"])
        #expect(try request("a", "icmp or arp").filter == "icmp or arp")
        #expect(try request("icmp").ports == [])
        #expect(try request("a", "--filter", "b").filter == "b")  // a host called b
        #expect(throws: CommandFailure.self) { try request("a", "icmp", "or", "arp") }
        #expect(throws: CommandFailure.self) { try request("c", "--filter", "icmp") }
    }
}
